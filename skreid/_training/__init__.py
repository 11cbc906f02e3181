"""Training: images and identities in, weights and a history out."""
