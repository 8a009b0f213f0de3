"""lmkit: language modelling for the shell. This module knows the version and nothing else."""

__version__ = "0.1.0"
