"""Training on a chunk in compiled code, where numba is installed. Knows no rounds and no replicas.

The negatives of a word are drawn once and shared by its window (Ji et al. 2016), so that a window is a small
matrix product: the rows of its inputs by those of its outputs, the word itself and the negatives. All products
are taken before any row changes. Rows lie end to end in flat arrays and are `width` long, a multiple of eight;
outputs are handled six at a time, and what is missing to six is row 0 with weight 0, which stays as it is.

So do negatives that were drawn twice: the first has their weight.

Where words are means of several rows, the mean is taken when a word comes within reach of the window that moves over
the text. Windows then work on it as on a row, and when it is out of reach each of its rows takes the whole change.
"""

from typing import Any

import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

from lmkit.word_vectors.simd_lanes import (  # fmt: skip
    LANES,
    add,
    load,
    multiply,
    multiply_add,
    prefetch,
    sigmoid,
    spread,
    store,
    subtract,
    sums,
    zeros,
)

TILE = 6
LINE_END = 2
SKIPGRAM, SUM, MEAN = 0, 1, 2
OFTEN = 31  # every 32nd place of a chunk is measured
_LINE = 16  # floats in a line of the cache
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def _cached(function) -> Any:
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder for it
        return numba.njit(nogil=True)(function)


def without_cache() -> None:
    """Compiles from now on without keeping what was compiled, as where there is no room for it."""
    for function in list(globals().values()):
        if isinstance(function, Dispatcher):
            function._cache = NullCache()


def misses() -> int:
    """How often code was not found in the cache and had to be compiled."""
    functions = [value for value in list(globals().values()) if isinstance(value, Dispatcher)]
    return sum(sum(dict(function.stats.cache_misses).values()) for function in functions)


@_cached
def _mixed(state):
    """Splitmix64's output for a state (Steele et al. 2014)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_cached
def thin(ids, keep, seed, kept):
    """Leaves out words at random, each by its probability in `keep`; how many ids are left in `kept`."""
    state, length = seed, 0
    for token in ids:
        if token != LINE_END:
            state += _GAMMA
            if np.float32(_mixed(state) >> np.uint64(40)) * np.float32(2.0**-24) >= keep[token]:
                continue
        kept[length] = token
        length += 1
    return length


@_cached
def _draw(target, width, table, negatives, state, rows, weights, changed):
    """Rows of the outputs of a word, itself first, how often each counts, and marks; the next random state."""
    rows[0], changed[target] = target * width, 1
    size = np.uint64(len(table))
    for slot in range(1, negatives + 1):
        state += _GAMMA
        number = _mixed(state)
        drawn = ((number >> _HALF) * size) >> _HALF
        entry = table[drawn]
        if (number & _LOW) >= (entry >> _HALF):
            drawn = entry & _LOW
        row, changed[np.int64(drawn)] = np.int64(drawn) * width, 1
        place = (slot // TILE) * LANES + slot % TILE
        rows[slot], weights[place] = row, 1.0
        for before in range(slot):
            if rows[before] == row:
                rows[slot], weights[place] = 0, 0.0
                if before:
                    weights[(before // TILE) * LANES + before % TILE] += np.float32(1.0)
                break
    return state


@_cached
def _fetch(array, row, width):
    for place in range(row, row + width, _LINE):
        prefetch(array, place)


@_cached
def _errors(inputs, outputs, width, rows, count, targets, tile, labels, weights, rate, errors, tiles):
    """(label - sigmoid of the product) * weight * rate for each input and each output of a tile."""
    first = tile * TILE
    p0, p1, p2 = targets[first], targets[first + 1], targets[first + 2]
    p3, p4, p5 = targets[first + 3], targets[first + 4], targets[first + 5]
    label, weight = load(labels, tile * LANES), multiply(load(weights, tile * LANES), spread(rate))
    for one in range(0, count, 2):
        other = min(one + 1, count - 1)
        i, j = rows[one], rows[other]
        a0, a1, a2, a3, a4, a5 = zeros(), zeros(), zeros(), zeros(), zeros(), zeros()
        b0, b1, b2, b3, b4, b5 = zeros(), zeros(), zeros(), zeros(), zeros(), zeros()
        for column in range(0, width, LANES):
            x, y = load(inputs, i + column), load(inputs, j + column)
            o = load(outputs, p0 + column)
            a0, b0 = multiply_add(x, o, a0), multiply_add(y, o, b0)
            o = load(outputs, p1 + column)
            a1, b1 = multiply_add(x, o, a1), multiply_add(y, o, b1)
            o = load(outputs, p2 + column)
            a2, b2 = multiply_add(x, o, a2), multiply_add(y, o, b2)
            o = load(outputs, p3 + column)
            a3, b3 = multiply_add(x, o, a3), multiply_add(y, o, b3)
            o = load(outputs, p4 + column)
            a4, b4 = multiply_add(x, o, a4), multiply_add(y, o, b4)
            o = load(outputs, p5 + column)
            a5, b5 = multiply_add(x, o, a5), multiply_add(y, o, b5)
        a = subtract(label, sigmoid(sums(a0, a1, a2, a3, a4, a5, zeros(), zeros())))
        b = subtract(label, sigmoid(sums(b0, b1, b2, b3, b4, b5, zeros(), zeros())))
        store(errors, (one * tiles + tile) * LANES, multiply(a, weight))
        store(errors, (other * tiles + tile) * LANES, multiply(b, weight))


@_cached
def _update(inputs, outputs, width, rows, count, targets, tiles, errors, old):
    """Adds to each input the outputs by their errors, and to each output the inputs, all as they were before."""
    for column in range(0, width, LANES):
        for i in range(count):
            store(old, i * LANES, load(inputs, rows[i] + column))
        for tile in range(tiles):
            first = tile * TILE
            p0, p1, p2 = targets[first] + column, targets[first + 1] + column, targets[first + 2] + column
            p3, p4, p5 = targets[first + 3] + column, targets[first + 4] + column, targets[first + 5] + column
            o0, o1, o2 = load(outputs, p0), load(outputs, p1), load(outputs, p2)
            o3, o4, o5 = load(outputs, p3), load(outputs, p4), load(outputs, p5)
            d0, d1, d2, d3, d4, d5 = o0, o1, o2, o3, o4, o5
            for i in range(count):
                x, y = load(old, i * LANES), load(inputs, rows[i] + column)
                place = (i * tiles + tile) * LANES
                e = spread(errors[place])
                y, d0 = multiply_add(e, o0, y), multiply_add(e, x, d0)
                e = spread(errors[place + 1])
                y, d1 = multiply_add(e, o1, y), multiply_add(e, x, d1)
                e = spread(errors[place + 2])
                y, d2 = multiply_add(e, o2, y), multiply_add(e, x, d2)
                e = spread(errors[place + 3])
                y, d3 = multiply_add(e, o3, y), multiply_add(e, x, d3)
                e = spread(errors[place + 4])
                y, d4 = multiply_add(e, o4, y), multiply_add(e, x, d4)
                e = spread(errors[place + 5])
                y, d5 = multiply_add(e, o5, y), multiply_add(e, x, d5)
                store(inputs, rows[i] + column, y)
            store(outputs, p0, d0)
            store(outputs, p1, d1)
            store(outputs, p2, d2)
            store(outputs, p3, d3)
            store(outputs, p4, d4)
            store(outputs, p5, d5)


@_cached
def _loss(count, tiles, errors, weights, rate):
    """Nats of all pairs, from their errors: -log(1 - |label - sigmoid|)."""
    total = 0.0
    for i in range(count):
        for slot in range(tiles * LANES):
            if weights[slot] > 0:
                wrong = abs(errors[i * tiles * LANES + slot]) / (rate * weights[slot])
                total -= weights[slot] * np.log(max(1.0 - wrong, 1e-7))
    return total


@_cached
def _neighbours(kept, length, place, reach, width, slots, rows):
    """Rows of the words around one, from left to right, none beyond its line; how many.

    That is those of the words, or with `slots` those of their places modulo so many.
    """
    first, last, count = place, place, 0
    while first > 0 and place - first < reach and kept[first - 1] != LINE_END:
        first -= 1
    while last + 1 < length and last - place < reach and kept[last + 1] != LINE_END:
        last += 1
    for other in range(first, last + 1):
        if other != place:
            rows[count] = np.int64(other % slots if slots else kept[other]) * width
            count += 1
    return count


@_cached
def _enter(inputs, width, starts, parts, token, held, before, slot):
    """Puts the mean of a word's rows at a place of `held` and of `before`."""
    begin, end = starts[token], starts[token + 1]
    factor = spread(np.float32(1.0 / (end - begin)))
    for column in range(0, width, LANES):
        total = zeros()
        for part in range(begin, end):
            total = add(total, load(inputs, np.int64(parts[part]) * width + column))
        total = multiply(total, factor)
        store(held, slot + column, total)
        store(before, slot + column, total)


@_cached
def _leave(inputs, width, starts, parts, token, held, before, slot):
    """Adds to each of a word's rows what has changed at a place of `held`."""
    for column in range(0, width, LANES):
        change = subtract(load(held, slot + column), load(before, slot + column))
        for part in range(starts[token], starts[token + 1]):
            place = np.int64(parts[part]) * width + column
            store(inputs, place, add(load(inputs, place), change))


@_cached
def _move(inputs, width, starts, parts, kept, length, place, window, held, before):
    """Moves what is held to the words within reach of a place: one leaves, one enters, the next is asked for."""
    last, first, following = place - window - 1, place + window, place + window + 1
    if 0 <= last < length and kept[last] != LINE_END:
        _leave(inputs, width, starts, parts, kept[last], held, before, last % (2 * window + 1) * width)
    if 0 <= first < length and kept[first] != LINE_END:
        _enter(inputs, width, starts, parts, kept[first], held, before, first % (2 * window + 1) * width)
    if 0 <= following < length:
        for part in range(starts[kept[following]], starts[kept[following] + 1]):
            _fetch(inputs, np.int64(parts[part]) * width, width)


@_cached
def _gather(inputs, width, rows, count, scale, hidden):
    """The sum of rows times a number."""
    factor = spread(scale)
    for column in range(0, width, LANES):
        total = zeros()
        for i in range(count):
            total = add(total, load(inputs, rows[i] + column))
        store(hidden, column, multiply(total, factor))


@_cached
def _scatter(outputs, width, targets, tiles, errors, hidden, scale, inputs, rows, count):
    """Adds the hidden vector to each output by its error, and to each input the outputs so, times a number."""
    factor = spread(scale)
    for column in range(0, width, LANES):
        x, change = load(hidden, column), zeros()
        for tile in range(tiles):
            for slot in range(TILE):
                place = targets[tile * TILE + slot] + column
                error, output = spread(errors[tile * LANES + slot]), load(outputs, place)
                change = multiply_add(error, output, change)
                store(outputs, place, multiply_add(error, x, output))
        for i in range(count):
            place = rows[i] + column
            store(inputs, place, multiply_add(change, factor, load(inputs, place)))


@_cached
def train(
    kept, length, inputs, outputs, width, window, dynamic, negatives, table, rates, seed, found, changed, way, starts,
    parts,
):  # fmt: skip
    """Trains on a text; adds (nats, pairs), or of cbow (nats, words), of some to `found`; marks `changed` outputs.

    way     SKIPGRAM: a word predicts each neighbour. SUM, MEAN: all neighbours together predict the word
    starts  (V + 1,) where the rows of each word begin in `parts`; where this is empty words have one row each
    """
    tiles = negatives // TILE + 1
    slots = 2 * window + 1 if len(parts) else 0
    held, before = np.empty(slots * width, np.float32), np.empty(slots * width, np.float32)
    words = held if slots else inputs
    rows, errors = np.empty(2 * window, np.int64), np.empty(2 * window * tiles * LANES, np.float32)
    old, hidden = np.empty(2 * window * LANES, np.float32), np.empty(width, np.float32)
    labels, alone = np.zeros(tiles * LANES, np.float32), np.zeros(1, np.int64)
    targets, nexts = np.zeros(tiles * TILE, np.int64), np.zeros(tiles * TILE, np.int64)
    weights, next_weights = np.zeros(tiles * LANES, np.float32), np.zeros(tiles * LANES, np.float32)
    labels[0] = weights[0] = next_weights[0] = 1.0
    state = seed
    step = (rates[1] - rates[0]) / max(length, 1)
    for place in range(-1 - window if slots else -1, length + window + 1 if slots else length):
        if slots:
            _move(inputs, width, starts, parts, kept, length, place, window, held, before)
            if not -1 <= place < length:
                continue
        targets, nexts = nexts, targets
        weights, next_weights = next_weights, weights
        if place + 1 < length and kept[place + 1] != LINE_END:
            state = _draw(np.int64(kept[place + 1]), width, table, negatives, state, nexts, next_weights, changed)
            for slot in range(negatives + 1):
                _fetch(outputs, nexts[slot], width)
        if not slots and place + 2 + window < length:
            _fetch(inputs, np.int64(kept[place + 2 + window]) * width, width)
        if place < 0 or kept[place] == LINE_END:
            continue
        reach = window
        if dynamic:
            state += _GAMMA
            reach = 1 + np.int64(((_mixed(state) >> _HALF) * np.uint64(window)) >> _HALF)
        count = _neighbours(kept, length, place, reach, width, slots, rows)
        if count == 0:
            continue
        rate = np.float32(rates[0] + step * place)
        if way == SKIPGRAM:
            for tile in range(tiles):
                _errors(words, outputs, width, rows, count, targets, tile, labels, weights, rate, errors, tiles)
            _update(words, outputs, width, rows, count, targets, tiles, errors, old)
            measured = count
        else:
            share = np.float32(1.0 / count)
            _gather(words, width, rows, count, share if way == MEAN else np.float32(1.0), hidden)
            for tile in range(tiles):
                _errors(hidden, outputs, width, alone, 1, targets, tile, labels, weights, rate, errors, tiles)
            _scatter(outputs, width, targets, tiles, errors, hidden, np.float32(1.0), words, rows, count)
            measured = 1
        if place & OFTEN == 0:
            found[0] += _loss(measured, tiles, errors, weights, rate)
            found[1] += measured


@_cached
def combine(base, replicas, changed, width, begin, end, share):
    """Adds the changes of all replicas to rows of the base where one is marked, in order, times a share.

    The replicas become the same as the base, and the marks are taken away.
    """
    factor, count = spread(share), len(changed)
    for row in range(begin, end):
        marked = False
        for worker in range(count):
            marked |= changed[worker, row] != 0
            changed[worker, row] = 0
        if not marked:
            continue
        for place in range(row * width, (row + 1) * width, LANES):
            before, total = load(base, place), zeros()
            for worker in range(count):
                total = add(total, subtract(load(replicas, worker * len(base) + place), before))
            after = multiply_add(factor, total, before)
            store(base, place, after)
            for worker in range(count):
                store(replicas, worker * len(base) + place, after)
