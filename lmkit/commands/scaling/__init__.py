"""The commands of `lmkit scaling`."""
