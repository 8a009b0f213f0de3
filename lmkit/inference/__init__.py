"""Neural models in numpy, a token at a time, straight from a mapped checkpoint."""
