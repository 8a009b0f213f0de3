"""Objectives of training: what a network's loss on a batch is, and what counts as better."""
