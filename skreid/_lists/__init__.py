"""Descriptors of lists longer than memory or one machine."""
