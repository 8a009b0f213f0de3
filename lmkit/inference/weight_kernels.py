"""Products of stored matrices in compiled code, by several threads, of which none is waited for. Knows no model.

Rows are shared in strips. A job is posted as a sequence number and how many strips are left, in one integer, which
threads count down; the one that does so has a strip. The thread that asks takes strips too, and those which another
thread has taken but not finished, being interrupted, it works out once more: so a busy machine costs little. Helpers
put what they find into memory of their own, and what comes late is never looked at. Each row is summed in one order,
so that bits do not depend on who worked it out.

Shapes: M rows, I columns.
"""

from typing import Any

import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

from lmkit.inference.simd import (  # fmt: skip
    add,
    address_of,
    bf16_at,
    float_at,
    floats_at,
    fp16_at,
    multiply_add,
    pause,
    put,
    q4_0_dot,
    q4_0_expand,
    q4_1_dot,
    q4_1_expand,
    q8_0_dot,
    q8_0_expand,
    replace,
    share,
    shared,
    spread_at,
    store,
    total,
    zeros,
)

FP32, BF16, FP16, Q8_0, Q4_0, Q4_1 = range(6)
COUNTER, KIND, WEIGHTS, ROW_BYTES, COLUMNS, ROWS, STRIP, STOP, STATES = range(9)
"""Places in the integers that threads share: a job's strips left and its sequence number, and what it is. From
`STATES` on, each helper: whether it works on something, and whether it is awake."""
CONTROL = 64
LEFT = np.int64((1 << 20) - 1)
BITS = np.int64(20)
WAIT = 4000  # looks at a strip that another thread has taken
IDLE = 50_000  # looks for a job, after which a helper sleeps
STRIPS = 1 << 12
BYTES = 1 << 16  # of a strip


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


@_cached
def _floats_dot(w, x, columns):
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    for i in range(0, columns, 32):
        a = multiply_add(floats_at(w + 4 * i), floats_at(x + 4 * i), a)
        b = multiply_add(floats_at(w + 4 * i + 32), floats_at(x + 4 * i + 32), b)
        c = multiply_add(floats_at(w + 4 * i + 64), floats_at(x + 4 * i + 64), c)
        d = multiply_add(floats_at(w + 4 * i + 96), floats_at(x + 4 * i + 96), d)
    return total(add(add(a, b), add(c, d)))


@_cached
def _bf16_dot(w, x, columns):
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    for i in range(0, columns, 32):
        a = multiply_add(bf16_at(w + 2 * i), floats_at(x + 4 * i), a)
        b = multiply_add(bf16_at(w + 2 * i + 16), floats_at(x + 4 * i + 32), b)
        c = multiply_add(bf16_at(w + 2 * i + 32), floats_at(x + 4 * i + 64), c)
        d = multiply_add(bf16_at(w + 2 * i + 48), floats_at(x + 4 * i + 96), d)
    return total(add(add(a, b), add(c, d)))


@_cached
def _fp16_dot(w, x, columns):
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    for i in range(0, columns, 32):
        a = multiply_add(fp16_at(w + 2 * i), floats_at(x + 4 * i), a)
        b = multiply_add(fp16_at(w + 2 * i + 16), floats_at(x + 4 * i + 32), b)
        c = multiply_add(fp16_at(w + 2 * i + 32), floats_at(x + 4 * i + 64), c)
        d = multiply_add(fp16_at(w + 2 * i + 48), floats_at(x + 4 * i + 96), d)
    return total(add(add(a, b), add(c, d)))


@_cached
def _q8_0_dot(w, x, columns):
    a, b = zeros(), zeros()
    blocks = columns // 32
    for i in range(0, blocks - 1, 2):
        a = q8_0_dot(w + 34 * i, x + 128 * i, a)
        b = q8_0_dot(w + 34 * i + 34, x + 128 * i + 128, b)
    if blocks % 2:
        a = q8_0_dot(w + 34 * (blocks - 1), x + 128 * (blocks - 1), a)
    return total(add(a, b))


@_cached
def _q4_0_dot(w, x, columns):
    a, b = zeros(), zeros()
    blocks = columns // 32
    for i in range(0, blocks - 1, 2):
        a = q4_0_dot(w + 18 * i, x + 128 * i, a)
        b = q4_0_dot(w + 18 * i + 18, x + 128 * i + 128, b)
    if blocks % 2:
        a = q4_0_dot(w + 18 * (blocks - 1), x + 128 * (blocks - 1), a)
    return total(add(a, b))


@_cached
def _q4_1_dot(w, x, columns):
    a, b = zeros(), zeros()
    blocks, folded = columns // 32, x + 4 * columns
    for i in range(0, blocks - 1, 2):
        a = q4_1_dot(w + 20 * i, x + 128 * i, folded + 32 * i, a)
        b = q4_1_dot(w + 20 * i + 20, x + 128 * i + 128, folded + 32 * i + 32, b)
    if blocks % 2:
        last = blocks - 1
        a = q4_1_dot(w + 20 * last, x + 128 * last, folded + 32 * last, a)
    return total(add(a, b))


@_cached
def _dots(kind, weights, row_bytes, columns, begin, end, x, out):
    """Rows from `begin` to `end` times x, put where `out` and the row's number say."""
    w = weights + begin * row_bytes
    for row in range(begin, end):
        if kind == BF16:
            y = _bf16_dot(w, x, columns)
        elif kind == Q8_0:
            y = _q8_0_dot(w, x, columns)
        elif kind == Q4_0:
            y = _q4_0_dot(w, x, columns)
        elif kind == Q4_1:
            y = _q4_1_dot(w, x, columns)
        elif kind == FP16:
            y = _fp16_dot(w, x, columns)
        else:
            y = _floats_dot(w, x, columns)
        put(out + 4 * row, y)
        w += row_bytes


@_cached
def _fold(x, columns):
    """Puts the sums of each 32 numbers over four quarters behind them."""
    for i in range(0, columns, 32):
        low = add(floats_at(x + 4 * i), floats_at(x + 4 * i + 32))
        high = add(floats_at(x + 4 * i + 64), floats_at(x + 4 * i + 96))
        store(x + 4 * columns + i, add(low, high))


@_cached
def serve(control, done, staging, inputs, helper):
    """Works on strips of what is posted until nothing was for a while; false where it is to stop."""
    shares, marks = address_of(control), address_of(done)
    own, x = address_of(staging) + 4 * helper * staging.shape[1], address_of(inputs)
    state = shares + 8 * (STATES + 2 * helper)
    idle = 0
    while idle < IDLE:
        if shared(shares + 8 * STOP):
            return False
        counter = shared(shares)
        if counter & LEFT == 0:
            idle += 1
            pause()
            continue
        kind, weights, row_bytes = control[KIND], control[WEIGHTS], control[ROW_BYTES]
        columns, rows, strip = control[COLUMNS], control[ROWS], control[STRIP]
        share(state, np.int64(1))
        if replace(shares, counter, counter - 1):
            number = (counter & LEFT) - 1
            begin = number * strip
            _dots(kind, weights, row_bytes, columns, begin, min(begin + strip, rows), x, own)
            share(marks + 8 * number, (counter >> BITS << BITS) + helper + 1)
            idle = 0
        share(state, np.int64(0))
    return True


@_cached
def product(control, done, staging, inputs, helpers, kind, weights, row_bytes, columns, rows, x, out):
    """W x, of x (I,) put where `out` says, (M,)."""
    shares, marks, held = address_of(control), address_of(done), address_of(inputs)
    for i in range(columns):
        inputs[i] = x[i]
    if kind == Q4_1:
        _fold(held, columns)
    strip = max(max(np.int64(8), BYTES // row_bytes), -(-rows // STRIPS))
    strips = -(-rows // strip)
    if helpers == 0 or strips < 2:
        _dots(kind, weights, row_bytes, columns, 0, rows, held, out)
        return
    tag = ((shared(shares) >> BITS) + 1) << BITS
    share(shares, tag)
    control[KIND], control[WEIGHTS], control[ROW_BYTES] = kind, weights, row_bytes
    control[COLUMNS], control[ROWS], control[STRIP] = columns, rows, strip
    share(shares, tag + strips)
    while True:
        counter = shared(shares)
        if counter & LEFT == 0:
            break
        if replace(shares, counter, counter - 1):
            number = (counter & LEFT) - 1
            begin = number * strip
            _dots(kind, weights, row_bytes, columns, begin, min(begin + strip, rows), held, out)
            share(marks + 8 * number, tag)
    for number in range(strips):
        begin, end = number * strip, min(number * strip + strip, rows)
        looks = 0
        mark = shared(marks + 8 * number)
        while mark >> BITS << BITS != tag and looks < WAIT:
            looks += 1
            pause()
            mark = shared(marks + 8 * number)
        if mark >> BITS << BITS != tag:
            _dots(kind, weights, row_bytes, columns, begin, end, held, out)
        elif mark != tag:
            own = address_of(staging) + 4 * (mark - tag - 1) * staging.shape[1]
            for row in range(begin, end):
                put(out + 4 * row, float_at(own + 4 * row))


@_cached
def several(kind, weights, row_bytes, columns, begin, end, inputs, out):
    """Rows from `begin` to `end` times a few vectors, (N, I) or with `_fold`'s sums behind each, put into (N, M)."""
    strip = max(np.int64(8), BYTES // row_bytes)
    for first in range(begin, end, strip):
        last = min(first + strip, end)
        for number in range(len(inputs)):
            x = address_of(inputs) + 4 * number * inputs.shape[1]
            own = address_of(out) + 4 * number * out.shape[1]
            _dots(kind, weights, row_bytes, columns, first, last, x, own)


@_cached
def fold(inputs, columns):
    """Puts `_fold`'s sums behind each of some vectors, (N, I + I / 4)."""
    for number in range(len(inputs)):
        _fold(address_of(inputs) + 4 * number * inputs.shape[1], columns)


@_cached
def _tile(w, pitch, columns, x, width, out):
    """Three rows times 32 vectors that lie side by side, x (I, width) to (3, width): each weight once for all."""
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    e, f, g, h = zeros(), zeros(), zeros(), zeros()
    i, j, k, l = zeros(), zeros(), zeros(), zeros()  # noqa: E741
    v, u = w + pitch, w + 2 * pitch
    for _ in range(columns):
        p, q, r = spread_at(w), spread_at(v), spread_at(u)  # with a column of vectors they fill all registers
        t = floats_at(x)
        a, e, i = multiply_add(p, t, a), multiply_add(q, t, e), multiply_add(r, t, i)
        t = floats_at(x + 32)
        b, f, j = multiply_add(p, t, b), multiply_add(q, t, f), multiply_add(r, t, j)
        t = floats_at(x + 64)
        c, g, k = multiply_add(p, t, c), multiply_add(q, t, g), multiply_add(r, t, k)
        t = floats_at(x + 96)
        d, h, l = multiply_add(p, t, d), multiply_add(q, t, h), multiply_add(r, t, l)  # noqa: E741
        x, w, v, u = x + 4 * width, w + 4, v + 4, u + 4
    for one, other, third, last in ((a, b, c, d), (e, f, g, h), (i, j, k, l)):
        store(out, one)
        store(out + 32, other)
        store(out + 64, third)
        store(out + 96, last)
        out += 4 * width


@_cached
def _strip(w, pitch, columns, x, width, out):
    """One row times eight vectors that lie side by side."""
    a = zeros()
    for _ in range(columns):
        a = multiply_add(floats_at(x), spread_at(w), a)
        x, w = x + 4 * width, w + 4
    store(out, a)


@_cached
def beside(weights, pitch, columns, rows, inputs, made):
    """W X of vectors that lie side by side, (I, width) to (M, width), of a width that is a multiple of eight.

    Each product is summed over the columns in their order, so that bits depend on no other vector.
    """
    x, out, width = address_of(inputs), address_of(made), inputs.shape[1]
    for row in range(0, rows, 3):
        w = weights + row * pitch
        for lane in range(0, width, 32):
            if row + 3 <= rows and lane + 32 <= width:
                _tile(w, pitch, columns, x + 4 * lane, width, out + 4 * (row * width + lane))
                continue
            for last in range(row, min(row + 3, rows)):
                for eight in range(lane, min(lane + 32, width), 8):
                    place = out + 4 * (last * width + eight)
                    _strip(weights + last * pitch, pitch, columns, x + 4 * eight, width, place)


@_cached
def expand(kind, weights, row_bytes, columns, begin, end, made):
    """Rows from `begin` to `end` as float32, put into (M, I) from its first row on."""
    w, out = weights + begin * row_bytes, address_of(made)
    for _ in range(begin, end):
        if kind == BF16:
            for i in range(0, columns, 8):
                store(out + 4 * i, bf16_at(w + 2 * i))
        elif kind == FP16:
            for i in range(0, columns, 8):
                store(out + 4 * i, fp16_at(w + 2 * i))
        else:
            for i in range(columns // 32):
                if kind == Q8_0:
                    q8_0_expand(w + 34 * i, out + 128 * i)
                elif kind == Q4_0:
                    q4_0_expand(w + 18 * i, out + 128 * i)
                else:
                    q4_1_expand(w + 20 * i, out + 128 * i)
        w += row_bytes
        out += 4 * columns
