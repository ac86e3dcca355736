"""Hypergradients: how the trained parameters, and so the objective, answer to the loss."""
