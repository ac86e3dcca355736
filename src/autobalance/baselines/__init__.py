"""Published methods beside the searched family, tuned on the same folds for the same objective."""
