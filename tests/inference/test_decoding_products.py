"""Rows of a decoding batch times large matrices in compiled code: BLAS's products, to a rounding."""

from dataclasses import replace

import numpy as np
import pytest
from random_weights import random_weights

from lmkit.architectures import weight_formats
from lmkit.generation import batching
from lmkit.inference import decoding_products, stored_products
from lmkit.inference.transformer import TransformerModel
from lmkit.tokenization.tokenizers import ByteTokenizer

pytest.importorskip("numba")


@pytest.mark.parametrize("count", [20, 32, 45])
def test_products_are_those_of_matrices(count: int) -> None:
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, 70)).astype(np.float32)
    weights = [rng.normal(size=(size, 70)).astype(np.float32) for size in (200, 1, 48)]
    made = decoding_products.products(rows, weights, [200, 1, 48])
    np.testing.assert_allclose(made, rows @ np.concatenate(weights).T, atol=2e-5)
    alone = decoding_products.products(rows[3:4], weights, [200, 1, 48])
    np.testing.assert_array_equal(made[3], alone[0])  # whatever is beside it
    assert not decoding_products.wanted(32, weights)  # of a batch's steps alone


@pytest.mark.parametrize("precision", ["fp32", "bf16", "q4_0"])
def test_rows_of_large_models_are_single_steps(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"layers": 2, "width": 512, "heads": 4, "kv_heads": 2, "head_width": 128, "hidden": 576, "context": 8}
    weights = random_weights("transformer", ByteTokenizer(), by="stream", **shape)
    if precision != "fp32":
        weights = replace(weights, tensors=weight_formats.in_precision(weights.tensors, precision))
    model = TransformerModel(weights)
    calls = []
    products = decoding_products.products
    monkeypatch.setattr(decoding_products, "LARGE", 0)
    monkeypatch.setattr(stored_products, "LEAST", 0)
    monkeypatch.setattr("lmkit.inference.weight_folding.SMALL", 0)
    monkeypatch.setattr(decoding_products, "products", lambda *words: calls.append(1) or products(*words))
    fast = TransformerModel(weights)
    one, rows = model.start(), fast.rows([fast.start()] * 24)
    for token in range(12):
        expected, found = model.next(one), rows.next()
        allowed = batching.errors(fast, expected[None])[0] / 2
        assert (np.abs(found - expected) <= allowed).all()
        one = model.advance(one, token)
        rows.advance([token] * 24)
    assert calls
