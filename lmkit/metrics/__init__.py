"""Metrics of predictions against gold: accuracy, F1, correlation, BLEU, and their intervals."""
