"""Byte-pair encoding: pre-tokens, merges, training, and the formats of other tools."""
