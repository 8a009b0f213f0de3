"""Texts made with any model: filters of distributions, draws, search, and the loop around them."""
