"""The results page of the documentation, from the records under ``results/``."""
