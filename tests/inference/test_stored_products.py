"""Matrices read as they are stored: the products of the dequantised ones, the same bits for any number of threads."""

from dataclasses import replace

import numpy as np
import pytest
from random_weights import random_weights

from lmkit.architectures import weight_formats
from lmkit.inference import stored_products, thread_pool
from lmkit.inference.transformer import TransformerModel
from lmkit.tokenization.tokenizers import ByteTokenizer

pytest.importorskip("numba")
PRECISIONS = tuple(weight_formats.PRECISIONS)


def stored(name: str, rows: int, columns: int, seed: int = 0) -> weight_formats.StoredMatrix:
    values = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    if name == "fp16":
        return weight_formats.stored(name, values.shape, values.astype("<f2").view(np.uint8))
    if name == "q4_1":  # a block of q4_0 with d in place of m, too
        blocks = weight_formats.quantised(values, "q4_0").data.reshape(-1, 18)
        return weight_formats.stored(name, values.shape, np.hstack((blocks[:, :2], blocks)))
    return weight_formats.quantised(values, name)


@pytest.fixture
def _threads():
    yield
    thread_pool.shutdown()


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("name", PRECISIONS)
def test_products_are_those_of_the_dequantised_matrix(name: str) -> None:
    several = [stored(name, rows, 160, rows) for rows in (1000, 3)]
    dense = np.concatenate([matrix.dense() for matrix in several]).astype(np.float64)
    bias = np.random.default_rng(1).normal(size=1003).astype(np.float32)
    linear = stored_products.StoredLinear(several, bias)
    inputs = np.random.default_rng(2).normal(size=(9, 160)).astype(np.float32)
    bits = set()
    for threads in (1, 2, 3):
        thread_pool.use(threads)
        for _ in range(20):
            bits.add(linear(inputs[0]).tobytes())
    assert len(bits) == 1
    for count in (1, 2, 9):
        scale = np.abs(inputs[:count]) @ np.abs(dense).T
        assert (np.abs(linear(inputs[:count]) - inputs[:count] @ dense.T - bias) < 1e-6 * scale + 1e-6).all()
    assert linear(inputs[:2])[0].tobytes() in bits


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("bf16", {}),
        ("q8_0", {"bias": "qkv"}),
        ("q4_0", {"query_key_norm": True}),
        ("bf16", {"activation": "gelu", "normalisation": "layernorm", "bias": "all", "positions": "learned"}),
        ("bf16", {"norm": "post"}),
    ],
)
def test_a_model_answers_as_with_the_dequantised_weights(
    name: str, more: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = {"layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "head_width": 16, "hidden": 96, "context": 16}
    own = random_weights("transformer", ByteTokenizer(), by="stream", **shape, **more)
    weights = replace(own, tensors=weight_formats.in_precision(own.tensors, name), precision=name)
    expanded = TransformerModel(replace(weights, tensors=dict(weights.tensors)))
    monkeypatch.setattr(stored_products, "LEAST", 0)
    monkeypatch.setattr("lmkit.inference.weight_folding.SMALL", 0)
    model = TransformerModel(weights)
    assert model.signature["precision"] == name
    assert (model._decoder._compiled is not None) == (more.get("norm") != "post")
    ids = np.random.default_rng(3).integers(3, 50, 40).astype(np.int32)
    ends = np.array([40])
    np.testing.assert_allclose(model.score_many(ids, ends), expanded.score_many(ids, ends), atol=1e-5)
    one, other = model.start(), expanded.start()
    for token in ids[:20].tolist():
        np.testing.assert_allclose(model.next(one), expanded.next(other), atol=1e-5)
        one, other = model.advance(one, token), expanded.advance(other, token)


def test_without_compiled_code_matrices_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = weight_formats.Weights({"a": stored("q8_0", 4, 32)})
    monkeypatch.setattr(stored_products, "LEAST", 0)
    assert isinstance(stored_products.served(tensors)["a"], weight_formats.StoredMatrix)
    monkeypatch.setattr(stored_products, "kernels", lambda: None)
    assert isinstance(stored_products.served(tensors)["a"], np.ndarray)
