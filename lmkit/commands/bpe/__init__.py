"""Commands of the group `bpe`."""
