"""Distances between descriptors, and exact nearest neighbours."""
