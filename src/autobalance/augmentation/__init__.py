"""Augmentation policies: what happens to the examples of each class before training sees them."""
