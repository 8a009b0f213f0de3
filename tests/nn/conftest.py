"""Tiny networks with weights that are all at work."""

from network_fixtures import one_thread, said, shaken, tiny

__all__ = ["one_thread", "said", "shaken", "tiny"]
