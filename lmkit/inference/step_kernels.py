"""One token through all layers of a transformer in compiled code, from matrices as they are stored. Knows no texts.

At one text what numpy adds to each operation, some thirty a layer, weighs as much as reading a layer's weights in
4 bits. The arithmetic is that of `transformer_layers`, with sums in another order.

Shapes: L layers, D width, H heads, G heads of keys and values, E numbers in a head, F feed-forward, S tokens seen.
"""

import math

import numpy as np

from lmkit.inference.simd import (
    add,
    address_of,
    divide,
    exp,
    floats_at,
    multiply,
    multiply_add,
    spread,
    store,
    total,
    zeros,
)
from lmkit.inference.weight_kernels import _cached, product

KIND, WEIGHTS, ROW_BYTES, COLUMNS, ROWS, BIAS = range(6)
"""What is known of a matrix, in a row of integers; BIAS is an address or 0."""
QUERIES, KEYS, VALUES, OUTPUT, GATE, UP, DOWN = range(7)
"""The matrices of a layer in their order."""


@_cached
def _normed(x, size, weight, epsilon, out):
    """g x / sqrt(mean of x^2 + e) of numbers at an address, (size,)."""
    squares = zeros()
    for i in range(0, 4 * size, 32):
        own = floats_at(x + i)
        squares = multiply_add(own, own, squares)
    factor = spread(np.float32(1 / math.sqrt(total(squares) / size + epsilon)))
    for i in range(0, 4 * size, 32):
        store(out + i, multiply(multiply(floats_at(x + i), factor), floats_at(weight + i)))


@_cached
def _centred(x, size, weight, bias, epsilon, out):
    """g (x - mean) / sqrt(variance + e) + b of numbers at an address, (size,)."""
    sums = zeros()
    for i in range(0, 4 * size, 32):
        sums = add(sums, floats_at(x + i))
    less = spread(np.float32(-total(sums) / size))
    for i in range(0, 4 * size, 32):
        store(out + i, add(floats_at(x + i), less))
    _normed(out, size, weight, epsilon, out)
    for i in range(0, 4 * size, 32):
        store(out + i, add(floats_at(out + i), floats_at(bias + i)))


@_cached
def _apply(shares, helpers, part, x, out):
    """W x + b, put where `out` says."""
    control, done, staging, inputs = shares
    rows = part[ROWS]
    product(
        control, done, staging, inputs, helpers, part[KIND], part[WEIGHTS], part[ROW_BYTES], part[COLUMNS], rows, x, out
    )
    if part[BIAS]:
        for i in range(0, 4 * rows, 32):
            store(out + i, add(floats_at(out + i), floats_at(part[BIAS] + i)))


@_cached
def _turned(head, half, cosines, sines):
    """Numbers i and i + E/2 of a head turned by an angle."""
    for i in range(half):
        one, other = head[i], head[i + half]
        head[i] = one * cosines[i] - other * sines[i]
        head[i + half] = other * cosines[i] + one * sines[i]


@_cached
def _attended(query, width, keys, values, seen, scores, out):
    """What one query, already scaled, takes of S values; keys and values are rows from an address on."""
    highest = np.float32(-np.inf)
    for place in range(seen):
        sums, key = zeros(), keys + 4 * width * place
        for i in range(0, 4 * width, 32):
            sums = multiply_add(floats_at(query + i), floats_at(key + i), sums)
        scores[place] = total(sums)
        highest = max(highest, scores[place])
    for place in range(seen, -(-seen // 8) * 8):
        scores[place] = -np.inf
    mass, least, begin = zeros(), spread(-highest), address_of(scores)
    for place in range(0, 4 * seen, 32):
        raised = exp(add(floats_at(begin + place), least))
        store(begin + place, raised)
        mass = add(mass, raised)
    for i in range(0, 4 * width, 32):
        store(out + i, zeros())
    scale = np.float32(1) / (total(mass) - np.float32(-(-seen // 8) * 8 - seen) * _LEAST)
    for place in range(seen):
        weight, value = spread(scores[place] * scale), values + 4 * width * place
        for i in range(0, 4 * width, 32):
            store(out + i, multiply_add(weight, floats_at(value + i), floats_at(out + i)))


_LEAST = np.float32(math.exp(-87.0))  # what `exp` gives of minus infinity


@_cached
def _gated(gate, up, size):
    """The gate's silu times the other branch, in place of the gate."""
    one = spread(np.float32(1))
    minus = spread(np.float32(-1))
    for i in range(0, 4 * size, 32):
        x = floats_at(gate + i)
        raised = exp(multiply(x, minus))
        store(gate + i, multiply(divide(x, add(one, raised)), floats_at(up + i)))


@_cached
def _gelu(x, size):
    """x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), in its place; see `functional.gelu`."""
    cubic, straight = spread(np.float32(_GELU * 0.044715)), spread(np.float32(_GELU))
    one = spread(np.float32(1))
    for i in range(0, 4 * size, 32):
        own = floats_at(x + i)
        inner = multiply(own, multiply_add(multiply(own, own), cubic, straight))
        store(x + i, divide(own, add(one, exp(inner))))


_GELU = -2 * math.sqrt(2 / math.pi)


@_cached
def _norm(x, size, norm, epsilon, layernorm, out):
    """A layernorm or an rmsnorm of weights and biases (2, D)."""
    if layernorm:
        _centred(x, size, address_of(norm[0]), address_of(norm[1]), epsilon, out)
    else:
        _normed(x, size, address_of(norm[0]), epsilon, out)


@_cached
def token_step(
    shares, helpers, table, norms, head_norms, shape, epsilon, x, angles, keys, values, place, scale, buffers
):
    """The residual stream x, (D,), behind all layers; its keys and values go into caches (L, G, capacity, E).

    `shape`: whether norms are layernorms, and whether the feed-forward branch is gated; no `angles`, no rotation.
    """
    layernorm, is_gated = shape
    normed, rows, mixed, branch, hidden, scores = buffers
    size, width = len(x), keys.shape[3]
    groups, heads = keys.shape[1], len(mixed) // width
    stream, after = address_of(x), address_of(normed)
    for layer in range(len(table)):
        parts = table[layer]
        _norm(stream, size, norms[layer, 0], epsilon, layernorm, after)
        begin = address_of(rows)
        for part in range(OUTPUT):
            _apply(shares, helpers, parts[part], normed, begin)
            begin += 4 * parts[part, ROWS]
        for head in range(heads + groups):
            own = rows[head * width : (head + 1) * width]
            if head_norms.shape[0]:
                weight = address_of(head_norms[layer, 0 if head < heads else 1])
                _normed(address_of(own), width, weight, epsilon, address_of(own))
            if len(angles):
                _turned(own, width // 2, angles[0], angles[1])
            if head < heads:
                own *= scale
        for group in range(groups):
            keys[layer, group, place] = rows[(heads + group) * width : (heads + group + 1) * width]
            first = heads + groups + group
            values[layer, group, place] = rows[first * width : (first + 1) * width]
        for head in range(heads):
            group = head // (heads // groups)
            _attended(
                address_of(rows) + 4 * head * width, width, address_of(keys[layer, group]),
                address_of(values[layer, group]), place + 1, scores, address_of(mixed) + 4 * head * width,
            )  # fmt: skip
        _apply(shares, helpers, parts[OUTPUT], mixed, address_of(branch))
        for i in range(size):
            x[i] += branch[i]
        _norm(stream, size, norms[layer, 1], epsilon, layernorm, after)
        _apply(shares, helpers, parts[GATE], normed, address_of(hidden))
        if is_gated:
            up = address_of(hidden) + 4 * parts[GATE, ROWS]
            _apply(shares, helpers, parts[UP], normed, up)
            _gated(address_of(hidden), up, parts[GATE, ROWS])
        else:
            _gelu(address_of(hidden), parts[GATE, ROWS])
        _apply(shares, helpers, parts[DOWN], hidden, address_of(branch))
        for i in range(size):
            x[i] += branch[i]
