"""Encoders in torch and in numpy: the same numbers, whatever is beside a sequence."""

import numpy as np
import pytest
import torch
from tiny_encoders import SHAPES, tiny_encoder

from lmkit.evaluation.sentence_vectors import SentencePooling, sentence_vectors
from lmkit.inference.encoder import EncoderModel
from lmkit.nn import factory
from lmkit.nn.encoder_model import TorchEncoder

LENGTHS = [5, 3, 12, 3, 5, 1, 12]


def packed(settings, lengths=LENGTHS, seed=1):
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, settings.vocabulary, sum(lengths)).astype(np.int32)
    segments = np.concatenate([np.arange(size) > size // 2 for size in lengths]).astype(np.int32)
    return ids, segments, lengths


def run(network, ids, segments, lengths):
    tensors = [torch.from_numpy(part.astype(np.int64)) for part in (ids, segments)]
    with torch.inference_mode():
        return network.hidden(*tensors, lengths=lengths).numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_and_torch_agree(shape):
    weights = tiny_encoder(shape)
    network, model = factory.loaded(weights).eval(), EncoderModel(weights)
    hidden = run(network, *packed(weights.settings))
    np.testing.assert_allclose(model.hidden_states(*packed(weights.settings)), hidden, atol=2e-5)
    vectors = torch.from_numpy(hidden)
    with torch.inference_mode():
        if network.mlm is not None:
            nats = torch.log_softmax(network.mlm_logits(vectors), dim=-1).numpy()
            np.testing.assert_allclose(model.log_probabilities(hidden), nats, atol=3e-5)
        if network.pair is not None:
            pooled = network.pooled(vectors)
            np.testing.assert_allclose(
                model.pair_logits(model.pooled(hidden)), network.pair_logits(pooled).numpy(), atol=3e-5
            )
        if network.discriminator is not None:
            logits = network.discriminator_logits(vectors).numpy()
            np.testing.assert_allclose(model.discriminator_logits(hidden), logits, atol=3e-5)
    assert set(network.to_arrays()) == set(weights.tensors)
    assert all(np.array_equal(array, weights.tensors[name]) for name, array in network.to_arrays().items())


def test_vectors_in_half_precision_point_where_those_in_full_do():
    weights, pooling = tiny_encoder("bert"), SentencePooling(normalize=True)
    ids, _, lengths = packed(weights.settings)
    full, half = (
        np.stack(sentence_vectors(TorchEncoder(weights, precision=one), ids, np.cumsum(lengths), pooling))
        for one in ("fp32", "bf16")
    )
    assert np.abs(full - half).max() > 0
    assert (full * half).sum(axis=1).min() > 0.9999


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sequence_does_not_see_those_beside_it(shape):
    weights = tiny_encoder(shape)
    network = factory.loaded(weights).eval()
    ids, segments, lengths = packed(weights.settings)
    together = run(network, ids, segments, lengths)
    begin = 0
    for length in lengths:
        some = slice(begin, begin + length)
        np.testing.assert_allclose(run(network, ids[some], segments[some], [length]), together[some], atol=1e-5)
        begin += length


@pytest.mark.parametrize("shape", SHAPES)
def test_each_token_sees_all_of_its_sequence(shape):
    weights = tiny_encoder(shape, local_window=64)
    model = EncoderModel(weights)
    ids, segments = packed(weights.settings, [9])[:2]
    changed = ids.copy()
    changed[4] = ids[4] % 20 + 6
    before, after = (model.hidden_states(one, segments * 0, [9]) for one in (ids, changed))
    assert (np.abs(before - after).max(axis=1) > 1e-4).all()


@pytest.mark.parametrize("shape", ["bert", "modern"])
def test_queries_may_be_worked_on_a_few_at_a_time(shape, monkeypatch):
    model = EncoderModel(tiny_encoder(shape))
    together = model.hidden_states(*packed(model.settings))
    monkeypatch.setattr("lmkit.inference.encoder.SCORES", 100)
    np.testing.assert_allclose(model.hidden_states(*packed(model.settings)), together, atol=1e-5)


@pytest.mark.parametrize("shape", ["bert", "modern"])
def test_attention_sums_to_one_and_reaches_both_ways(shape):
    model = EncoderModel(tiny_encoder(shape))
    weights = model.attention(packed(model.settings, [20])[0]).weights
    assert weights.shape == (3, 4, 20, 20)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (weights[0] > 0).all()
    assert bool((weights[1, :, 0, 5:] == 0).all()) is (shape == "modern")


def test_without_positions_a_permuted_input_gives_permuted_outputs():
    order = np.random.default_rng(0).permutation(9)
    for positions, same in (("none", True), ("learned", False), ("rope", False)):
        model = EncoderModel(tiny_encoder("bert", positions=positions))
        ids, segments = packed(model.settings, [9])[:2]
        segments *= 0
        straight, permuted = (model.hidden_states(one, segments, [9]) for one in (ids, ids[order]))
        assert bool(np.abs(straight[order] - permuted).max() < 1e-5) is same


def test_a_local_layer_sees_its_window():
    weights = tiny_encoder("modern", layers=2, global_every=2, local_window=4)
    for layer in (0,):  # with no attention in the global layer, only the local one is left
        weights.tensors[f"layers.{layer}.self_attn.o_proj.weight"][:] = 0
    model = EncoderModel(weights)
    ids, segments = packed(weights.settings, [12])[:2]
    changed = ids.copy()
    changed[6] = ids[6] % 20 + 6
    moved = np.abs(model.hidden_states(ids, segments, [12]) - model.hidden_states(changed, segments, [12])).max(axis=1)
    assert (moved > 1e-5).nonzero()[0].tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("shape", SHAPES)
def test_first_weights_train(shape):
    settings = tiny_encoder(shape).settings
    network = factory.initialised(settings, seed=3)
    again = factory.initialised(settings, seed=3)
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), again.parameters(), strict=True))
    ids, segments = (torch.from_numpy(part.astype(np.int64)) for part in packed(settings)[:2])
    hidden = network.hidden(ids, segments, lengths=LENGTHS)
    head = network.mlm_logits if network.mlm is not None else network.discriminator_logits
    head(hidden).square().mean().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())
    assert network.embed_tokens.weight.grad is not None
    assert all(
        sum(rows) == dict(network.named_parameters())[name].shape[0] for name, rows in network.matrices().items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["ours", "modern", "bert"])
def test_compiled_layers_are_compiled_once_whatever_the_lengths(shape):
    from torch._dynamo.testing import CompileCounter

    weights = tiny_encoder(shape)
    network, plain = factory.loaded(weights).eval(), factory.loaded(weights).eval()
    counter = CompileCounter()
    assert network.compile_parts(dynamic=True, backend=counter)
    counts = []
    for seed in range(4):
        lengths = np.random.default_rng(seed).integers(1, 12, 3 + seed).tolist()
        some = packed(weights.settings, lengths, seed)
        np.testing.assert_allclose(run(network, *some), run(plain, *some), atol=1e-5)
        counts.append(counter.frame_count)
    assert counts == [counts[0]] * 4
