"""Configs, tensor names and shapes of neural models, for `nn` (torch) and `inference` (numpy); imports neither."""
