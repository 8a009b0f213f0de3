"""Vectors of words: spaces of them, and how they are learned."""
