"""What makes the search beside a training win: one thing changed at a time."""
