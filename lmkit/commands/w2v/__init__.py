"""The commands of `lmkit w2v`."""
