"""Benchmarks: commands that print a table and write JSON that anyone can reproduce."""
