"""Arithmetic coding with any model."""
