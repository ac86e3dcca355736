"""Searches for a loss: who holds out what, the trained heads, the objective, the descent."""
