"""`lmkit entropy`: distributions and texts."""
