"""From a user's file to arrays: tables, targets and groups, numeric features, long-tailed subsets.

The modules that need pandas (``tables``, ``targets``, ``encoder``) are imported only where they
are used, so that the losses and estimators do not depend on it.
"""
