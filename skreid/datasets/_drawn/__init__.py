"""Drawn people: a procedural street that stands in for real pictures."""
