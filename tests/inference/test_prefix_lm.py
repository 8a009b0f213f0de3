"""Prefix language models: the mask in numpy and torch, and that no target is seen before its time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_seq2seq import SOURCE, TARGET, model_of, settings_of, tiny_prefix_lm, weights_of

from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.checkpoint import parse, serialize
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.inference import attention_scores
from lmkit.nn import factory
from lmkit.nn.prefix_lm import Prefix, PrefixMask
from lmkit.training.objectives.seq2seq import SequenceToSequence
from lmkit.training.pair_batches import Pairs

SOURCES = [np.array(some, dtype=np.int32) for some in ([3, 4, 5, 2], [2], [6, 3, 2])]
TARGETS = [np.array(some, dtype=np.int32) for some in ([4, 4, 6, 2], [3, 2], [2])]
FORMS = [
    {}, {"positions": "learned", "normalisation": "layernorm", "bias": "all", "activation": "gelu", "tied": True},
    {"norm": "post", "positions": "sinusoidal", "query_key_norm": False},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_torch_and_numpy_have_one_mask(form):
    weights = weights_of(settings_of("prefix-lm", **form))
    network = factory.loaded(weights).eval()
    batch = Pairs(SOURCES, TARGETS, weights.form.start, 9).batch(np.arange(3))
    tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.arrays.items()}
    with torch.no_grad():
        loss = SequenceToSequence().loss(network, tensors, None)
    found = model_of(weights).score_pairs(SOURCES, TARGETS)
    assert [len(nats) for nats in found] == [4, 2, 1]
    assert float(loss.total) == pytest.approx(-sum(nats.sum() for nats in found), rel=1e-5)


def test_the_mask_is_bidirectional_on_the_prefix_and_causal_after():
    mask = PrefixMask(Prefix(torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 2])))
    places = mask.begin(5)
    assert places.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 2, 3]]
    seen = mask.of_layer(0)(places, places)[2][:, 0].numpy()
    assert (seen[0] == attention_scores.mask("prefix", 5, 3)).all()
    assert seen[1].astype(int).tolist() == [[1, 1, 0, 0, 0]] * 3 + [[1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]


def test_a_prefix_token_changes_what_is_before_it_and_a_target_token_does_not():
    weights = weights_of(settings_of("prefix-lm"))
    network = factory.loaded(weights).eval()

    def both(source, target):
        prefix = Prefix(torch.tensor([source]), torch.tensor([len(source)]))
        with torch.no_grad():
            return network.both(torch.tensor([target]), prefix)[0].numpy()

    before = both([3, 4, 5, 2], [1, 4, 6])
    assert (np.abs(both([3, 4, 6, 2], [1, 4, 6]) - before).max(axis=1) > 1e-4).all()
    after = np.abs(both([3, 4, 5, 2], [1, 5, 6]) - before).max(axis=1)
    assert after[:5].max() < 1e-6
    assert (after[5:] > 1e-4).all()
    model = model_of(weights)
    whole = model._read(SOURCES[0])[1]
    assert np.abs(whole - before[:4]).max() < 1e-5
    assert (np.abs(model._read(np.array([3, 4, 6, 2], dtype=np.int32))[1] - whole).max(axis=1) > 1e-4).all()


def test_long_prefixes_are_read_at_once():
    model = tiny_prefix_lm(context=2048)
    source = np.random.default_rng(0).integers(3, TARGET.size, 900).astype(np.int32)
    other = source.copy()
    other[-1] = 3 + (other[-1] - 2) % (TARGET.size - 3)
    assert np.abs(model._read(other)[1][0] - model._read(source)[1][0]).max() > 0
    state = model.begin(model.encode([source])[0])
    nats = [model.next(state)[4], model.next(model.advance(state, 4))[2]]
    assert model.score_pairs([source], [np.array([4, 2], dtype=np.int32)])[0] == pytest.approx(nats, abs=1e-5)


def test_limits_and_what_it_cannot_be():
    model = tiny_prefix_lm(context=8)
    assert (model.source_limit, model.target_limit) == (4, 3)
    with pytest.raises(DataError, match="exceeds the model's 4"):
        model.source_ids(TARGET.decode([3, 3, 3, 3]))
    state = model.begin(model.encode([SOURCES[0]])[0])
    with pytest.raises(DataError, match="longer than the context of 8"):
        model.follow(state, np.full(4, 3, dtype=np.int32))
    with pytest.raises(CheckpointError, match="no attention to its source alone"):
        model.alignment(SOURCES[0], TARGETS[0])
    for changes, said in (({"shared": False}, "one vocabulary"), ({"context": 3}, "no room")):
        with pytest.raises(UsageError, match=said):
            settings_of("prefix-lm", **changes)
    with pytest.raises(CheckpointError, match="one tokenizer"):
        model_of(replace(model.weights, source_tokenizer=SOURCE))


def test_checkpoints_come_back():
    model = tiny_prefix_lm()
    data = b"".join(serialize(model.to_checkpoint({})))
    loaded = LoadedSeq2Seq.from_checkpoint(parse(memoryview(data), "x"))
    assert loaded.settings == model.settings
    assert loaded.source_tokenizer is loaded.tokenizer
    assert (model_of(loaded).score_pairs(SOURCES, TARGETS)[0] == model.score_pairs(SOURCES, TARGETS)[0]).all()
