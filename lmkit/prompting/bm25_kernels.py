"""The examples of highest BM25 score in compiled code.

A score is summed in the order of the item's words, as numpy sums it, so that the bits of scores, and with them
the order of ties, are the same.

Shapes: N examples, V words, P pairs of a word and an example that has it, M words of an item, K examples looked for.
"""

from typing import Any

import numba
import numpy as np


def _cached(function) -> Any:
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder for it
        return numba.njit(nogil=True)(function)


_BLOCK = 64


@_cached
def _add_weights(starts, places, weights, item, counts, sums):
    """Adds to the sums of examples, (N,), the weights of each word of an item, times how often it has it."""
    for word in item:
        counts[word] += 1
    for word in item:
        factor = counts[word]
        if factor:  # not met before
            counts[word] = 0
            there, their = places[starts[word] : starts[word + 1]], weights[starts[word] : starts[word + 1]]
            if factor == 1:
                for entry in range(len(there)):
                    sums[there[entry]] += their[entry]
            else:
                for entry in range(len(there)):
                    sums[there[entry]] += factor * their[entry]


@_cached
def _has_above(values, least):
    """Whether a value is above a bound; four values at a time, which don't wait for each other."""
    one = two = three = four = least
    for place in range(0, len(values) - 3, 4):
        one = max(one, values[place])
        two = max(two, values[place + 1])
        three = max(three, values[place + 2])
        four = max(four, values[place + 3])
    for place in range(len(values) - len(values) % 4, len(values)):
        one = max(one, values[place])
    return max(one, two, three, four) > least


@_cached
def highest(starts, places, weights, item, counts, sums, count):
    """The places of the examples with the highest scores, the highest first, of equal ones the earlier, (K,).

    Where the examples of each word begin (V + 1,), their places and weights (P,); the words of an item as it has them
    (M,). `counts` (V,) and `sums` (N,) are zeros, and are left as zeros. K is at most N.
    """
    _add_weights(starts, places, weights, item, counts, sums)
    found = np.empty(count, dtype=np.int64)
    values = np.empty(count)
    size = 0
    least = -1.0
    for begin in range(0, len(sums), _BLOCK):
        block = sums[begin : begin + _BLOCK]
        if _has_above(block, least):
            for place in range(len(block)):
                value = block[place]
                if value > least:  # of equal ones the earlier stays
                    where = min(size, count - 1)
                    while where > 0 and value > values[where - 1]:
                        values[where], found[where] = values[where - 1], found[where - 1]
                        where -= 1
                    values[where], found[where] = value, begin + place
                    size += 1
                    if size >= count:
                        least = values[count - 1]
        block[:] = 0
    return found
