"""Measurements, one script a question; each prints a table and writes JSON. All at once: ``python -m benchmarks``."""
