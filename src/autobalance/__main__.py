"""``python -m autobalance``: the command line without its console script."""

from autobalance.cli import main

if __name__ == "__main__":
    main()
