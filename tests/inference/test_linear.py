"""Products of single vectors, and the last layer."""

import numpy as np
import pytest
from rounding import assert_close

from lmkit.errors import CheckpointError
from lmkit.inference import linear, thread_pool
from lmkit.inference.linear import JOINED, FusedLinear, LMHead, Matmul, products

SHAPES = [(65, 128), (344, 1536), (500, 1000), (1000, 1000), (768, 3072), (513, 700), (9001, 96), (1, 7)]


def matrix(rows, columns):
    return np.random.default_rng(rows).standard_normal((rows, columns), dtype=np.float32)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_products(rows, columns):
    weight, x = matrix(rows, columns), matrix(columns, 1)[:, 0]
    assert_close(Matmul([weight, weight])(x), np.tile(weight.astype(float) @ x, 2), width=columns)


def test_large_maps_are_not_joined_and_give_the_same():
    weights = [matrix(1300, 700), matrix(300, 700)]
    biases = [matrix(1300, 1)[:, 0], matrix(300, 1)[:, 0]]
    assert sum(weight.nbytes for weight in weights) > JOINED
    x = matrix(5, 700)
    expected = np.concatenate([x @ weight.T + bias for weight, bias in zip(weights, biases, strict=True)], axis=1)
    assert_close(FusedLinear(weights, biases)(x), expected, width=700)
    for row, wanted in zip(x, expected, strict=True):
        assert_close(FusedLinear(weights, biases)(row), wanted, width=700)


def test_many_distributions_are_worked_out_in_parts():
    head = LMHead(matrix(70001, 3), matrix(70001, 1)[:, 0], 70000)
    x = matrix(4, 3)
    assert_close(head.next_many(x), [head.next(row) for row in x], width=3)
    assert head.next_many(x).dtype == np.float32


@pytest.fixture
def threads():
    """Sets how many threads share products, for one test."""
    yield thread_pool.use
    thread_pool.use(1)


@pytest.mark.few(1)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_number_of_threads_changes_no_bit(count, threads):
    """Of products with single vectors, with few and with many; the last ones take numpy's own thread alone."""

    def found():
        made = []
        for rows, columns in SHAPES:
            weights = [matrix(rows, columns), matrix(rows + 1, columns)]
            made += [Matmul(weights)(matrix(columns, 1)[:, 0])]
            made += [products(matrix(several, columns), weights) for several in (1, 2, 3, 4, 33)]
        return made

    alone = found()
    threads(count)
    for one, several in zip(alone, found(), strict=True):
        np.testing.assert_array_equal(one, several)


def test_what_fails_in_a_thread_is_raised(threads):
    threads(2)
    done = []

    def job():
        done.append(1)

    def wrong():
        raise ValueError("wrong")

    for jobs in ([job, wrong, job], [wrong, job], [job, job, wrong, wrong]):
        with pytest.raises(ValueError, match="wrong"):
            thread_pool.run(jobs)
    done.clear()
    thread_pool.run([job] * 5)
    assert len(done) == 5


@pytest.mark.parametrize(("rows", "blocks"), [(1, 8), (16, 2), (17, 2), (100, 3), (50257, 8), (768, 8)])
def test_rows_are_parted_evenly(rows, blocks):
    parts = thread_pool.row_blocks(rows, blocks)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
    assert len(parts) <= blocks
    assert all((part.stop - part.start) % thread_pool.ROWS == 0 for part in parts[:-1])


def test_threads_share_the_rows_of_distributions(threads):
    """Without a word where numbers are wrong, but for the error."""
    head, x = LMHead(matrix(70001, 3), None, 70000), matrix(5, 3)
    alone = head.next_many(x)
    threads(3)
    np.testing.assert_array_equal(head.next_many(x), alone)
    x[1:, 0] = np.inf
    with pytest.raises(CheckpointError, match="damaged"):
        head.next_many(x)


@pytest.mark.parametrize("most", [1, 40, 1 << 20])
def test_several_tokens_after_a_vector_are_as_probable_as_by_themselves(most, monkeypatch):
    monkeypatch.setattr(linear, "SCORES", most)
    rng = np.random.default_rng(3)
    head = linear.LMHead(rng.normal(size=(20, 6)).astype(np.float32), rng.normal(size=20).astype(np.float32), 18)
    x = rng.normal(size=(5, 6)).astype(np.float32)
    rows = np.array([0, 4, 4, 2, 0, 4], dtype=np.int32)
    targets = np.array([3, 17, 0, 5, 3, 9], dtype=np.int32)
    assert_close(head.pick(x, rows, targets), head.score(x[rows], targets), width=6)
    assert len(head.pick(x, rows[:0], targets[:0])) == 0
