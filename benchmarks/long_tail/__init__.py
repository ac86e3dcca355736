"""Long-tailed images: the designed loss beside every fixed one, on the same terms."""
