"""What each section of a page says: plain values and pictures for the templates."""
