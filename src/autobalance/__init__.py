"""AutoBalance: design a training loss for imbalanced data and prove what it changed."""

__version__ = "0.1.0"
