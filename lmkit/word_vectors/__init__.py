"""Word vectors: training, files, vector spaces and their test sets."""
