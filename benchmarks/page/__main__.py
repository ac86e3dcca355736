"""Write the results page.

    python -m benchmarks.page

Figures are never copied by hand: a test compares the page with what this writes.
"""

from __future__ import annotations

from autobalance.storage import write_text_atomically
from benchmarks.page.render import PAGE, RESULTS, render


def main() -> None:
    """Write the page."""
    write_text_atomically(PAGE, render(RESULTS))


if __name__ == "__main__":
    main()
