"""Perplexity of any model through the protocols: totals, mixtures, pooled vectors."""
