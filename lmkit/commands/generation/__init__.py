"""What the options of `lmkit sample` are made into."""
