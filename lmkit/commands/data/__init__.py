"""`lmkit data`: texts to work with, and examples to train on."""
