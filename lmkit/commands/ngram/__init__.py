"""The commands of `lmkit ngram`, a file each."""
