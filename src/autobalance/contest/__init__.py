"""Who is compared with whom, on what none of them has seen, and what may be said of it."""
