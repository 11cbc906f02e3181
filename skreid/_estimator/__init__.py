"""Code shared by the estimators that contain a network."""
