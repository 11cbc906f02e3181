"""Training: images and identities go in, weights and a history come out."""
