"""What hypergradients of a network cost and how right they are; see ``__main__``."""
