"""Nine tables of real data: the designed loss beside its rivals; see ``__main__``."""
