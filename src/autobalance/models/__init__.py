"""The built-in models, and how a name becomes one of them or a model of the user's own."""
