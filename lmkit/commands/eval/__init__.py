"""`lmkit eval`: scores of predictions and texts."""
