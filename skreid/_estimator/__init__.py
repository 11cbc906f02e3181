"""What the estimators that hold a network share."""
