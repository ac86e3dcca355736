"""From a user's files to a finished run folder, and from a run folder to predictions.

The command line is a thin layer over these modules; none of them prints.
"""
