"""Decoding with any model: filters, sampling, search, and the generation loop."""
