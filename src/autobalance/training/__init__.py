"""Training deep networks, with state that survives interruption."""
