"""Texts as training data: sequences, context windows, next-token examples. Knows no model."""
