"""Measurements, one script per question, which prints a table and writes JSON; ``python -m benchmarks`` runs all."""
