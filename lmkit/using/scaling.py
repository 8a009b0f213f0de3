"""Sizes of models, exactly, as whole numbers."""


def ngram_parameters(vocabulary: int, order: int) -> int:
    """Probabilities in a full table of n-grams over V words: V^n; the uniform 0-gram model has 1."""
    return int(vocabulary**order)


def ngram_free_parameters(vocabulary: int, order: int) -> int:
    """Those that can be chosen freely, each distribution summing to one: V^(n-1) (V - 1); 0 for the 0-gram."""
    return int(vocabulary ** (order - 1) * (vocabulary - 1)) if order else 0
