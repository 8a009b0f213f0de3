"""numpy's own threads: whether they are used, and that no bit tells."""

from itertools import pairwise

import numpy as np
import pytest

from lmkit.inference import blas_threads, thread_pool
from lmkit.inference.blas_threads import GAIN, LONGEST, OFTEN, PHASE, Matrix, Pace


class Always:
    """Several threads, however slow."""

    together = True

    def add(self, numbers, seconds):
        """Nothing changes."""


@pytest.fixture
def threads(monkeypatch):
    """Sets how many threads share every product that may be shared."""
    monkeypatch.setattr(blas_threads, "pace", Always())
    yield thread_pool.use
    thread_pool.use(1)


@pytest.fixture
def asked(monkeypatch):
    """The numbers of threads that were set, one after another."""
    found = []
    real = blas_threads.setter()

    def use(count):
        found.append(count)
        if real is not None:
            real(count)

    monkeypatch.setattr(blas_threads, "setter", lambda: use)
    return found


def matrix(rows, columns):
    return np.random.default_rng(rows).standard_normal((rows, columns), dtype=np.float32)


def product(kept, x, rows):
    out = np.empty(rows, dtype=np.float32)
    kept.dot(x, out)
    return out


@pytest.mark.few(5)
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize(("rows", "columns"), [(1000, 1000), (768, 3072), (513, 700), (50257, 96), (17, 16000)])
def test_threads_change_no_bit(rows, columns, count, threads, asked):
    weight, x = matrix(rows, columns), matrix(columns, 1)[:, 0]
    expected, kept = weight.dot(x), Matrix(weight)
    threads(count)
    for _ in range(3):
        np.testing.assert_array_equal(product(kept, x, rows), expected)
    assert asked == [count, 1] * 3


def test_small_matrices_are_not_shared(threads, asked):
    threads(2)
    weight, x = matrix(500, 500), matrix(500, 1)[:, 0]
    assert weight.size < blas_threads.SHARED
    np.testing.assert_array_equal(product(Matrix(weight), x, 500), weight.dot(x))
    assert asked == []


def test_where_a_bit_would_change_one_thread_multiplies(threads, asked, monkeypatch):
    weight, x = matrix(1000, 1000), matrix(1000, 1)[:, 0]
    expected, kept = weight.dot(x), Matrix(weight)

    def shared(_self, vector, out, count):
        np.dot(weight, vector, out)
        out[7] = np.nextafter(out[7], np.float32(np.inf))
        asked.append(count)

    monkeypatch.setattr(Matrix, "_shared", shared)
    threads(2)
    for _ in range(3):
        np.testing.assert_array_equal(product(kept, x, 1000), expected)
    assert asked == [2]


def test_without_openblas_one_thread_multiplies(threads, monkeypatch):
    monkeypatch.setattr(blas_threads, "setter", lambda: None)
    threads(2)
    weight, x = matrix(1000, 1000), matrix(1000, 1)[:, 0]
    np.testing.assert_array_equal(product(Matrix(weight), x, 1000), weight.dot(x))


def phases(pace, alone, together, count):
    """What is chosen in some phases of products, given seconds for each number: s for several threads, o for one."""
    found = ""
    for _ in range(count):
        found += "s" if pace.together else "o"
        pace.add(PHASE, PHASE * (together if pace.together else alone))
    return found


def test_several_threads_go_on_where_they_pay():
    assert phases(Pace(), 1e-9, 0.6e-9, 2 * OFTEN) == "o" + "s" * OFTEN + "o" + "s" * (OFTEN - 2)


def test_where_they_do_not_they_are_tried_less_and_less():
    tried = [index for index, way in enumerate(phases(Pace(), 1e-9, 1e-9, 1000)) if way == "s"]
    waits = [after - before - 1 for before, after in pairwise(tried)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert set(waits[7:]) == {LONGEST}


def test_when_they_pay_again_they_are_used():
    pace = Pace()
    phases(pace, 1e-9, 5e-9, 20)
    assert phases(pace, 1e-9, 0.5e-9, 2 * OFTEN).endswith("s" * 20)


def test_several_threads_stop_as_soon_as_they_have_lost():
    pace = Pace()
    pace.add(PHASE, 1.0)
    assert pace.together
    pace.add(PHASE // 100, 0.5 * GAIN)
    assert pace.together
    pace.add(PHASE // 100, 0.6 * GAIN)
    assert not pace.together
