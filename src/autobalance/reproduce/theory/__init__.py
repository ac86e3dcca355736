"""The paper's theory, made checkable: each piece is a run that passes or fails."""
