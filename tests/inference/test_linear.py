"""Products of single vectors, and the last layer."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lmkit.inference.linear import ALONE, Head, Joint, Products

SHAPES = [(65, 128), (344, 1536), (500, 1000), (1000, 1000), (768, 3072), (513, 700), (9001, 96), (1, 7)]


def matrix(rows, columns):
    return np.random.default_rng(rows).standard_normal((rows, columns), dtype=np.float32)


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_products(rows, columns):
    weight, x = matrix(rows, columns), matrix(columns, 1)[:, 0]
    np.testing.assert_allclose(Products([weight, weight])(x), np.tile(weight.astype(float) @ x, 2), rtol=0, atol=1e-3)


def test_large_maps_are_not_joined_and_give_the_same():
    weights = [matrix(1100, 700), matrix(300, 700)]
    biases = [matrix(1100, 1)[:, 0], matrix(300, 1)[:, 0]]
    assert weights[0].size > ALONE
    x = matrix(5, 700)
    expected = np.concatenate([x @ weight.T + bias for weight, bias in zip(weights, biases, strict=True)], axis=1)
    np.testing.assert_allclose(Joint(weights, biases)(x), expected, rtol=0, atol=1e-3)
    for row, wanted in zip(x, expected, strict=True):
        np.testing.assert_allclose(Joint(weights, biases)(row), wanted, rtol=0, atol=1e-3)


def test_many_distributions_are_worked_out_in_parts():
    head = Head(matrix(70001, 3), matrix(70001, 1)[:, 0], 70000)
    x = matrix(4, 3)
    np.testing.assert_allclose(head.next_many(x), [head.next(row) for row in x], rtol=0, atol=1e-5)
    assert head.next_many(x).dtype == np.float32


def test_the_number_of_threads_changes_no_bit_of_a_single_product():
    program = (
        "import hashlib, sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_linear import SHAPES, Products, matrix\n"
        "found = [Products([matrix(*shape)])(matrix(shape[1], 1)[:, 0]).tobytes() for shape in SHAPES]\n"
        "print(hashlib.sha256(b''.join(found)).hexdigest())"
    )
    digests = set()
    for threads in "12":
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", program, os.path.dirname(__file__)]
        digests.add(subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout)
    assert len(digests) == 1
