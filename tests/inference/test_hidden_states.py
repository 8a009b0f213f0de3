"""Hidden states and attention weights of the models in numpy, and masks."""

import numpy as np
import pytest
from random_weights import random_weights
from rounding import assert_close, assert_nats, shape_of

from lmkit.errors import UsageError
from lmkit.inference import attention_scores, functional
from lmkit.inference.feedforward import FeedForwardModel
from lmkit.inference.recurrent import RecurrentModel
from lmkit.inference.transformer import TransformerModel
from lmkit.tokenization.tokenizers import WordTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

TOKENIZER = WordTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", *(b"%d" % number for number in range(14))]))
SHAPE = {"layers": 2, "width": 12, "heads": 6, "kv_heads": 2, "head_width": 4, "hidden": 20, "context": 7}
MODELS = {
    "transformer": (TransformerModel, SHAPE),
    "rnn": (RecurrentModel, {"layers": 2, "width": 9, "cell": "lstm"}),
    "ffn": (FeedForwardModel, {"context": 3, "width": 5, "hidden": 11}),
}
IDS = np.random.default_rng(0).integers(3, TOKENIZER.size, 20).astype(np.int32)


def build(kind, **more):
    model, own = MODELS[kind]
    return model(random_weights(kind, TOKENIZER, **{**own, **more}))


@pytest.mark.parametrize("kind", MODELS)
def test_the_head_predicts_from_vectors(kind):
    model = build(kind)
    vectors = model.vectors(IDS)
    assert len(vectors) == len(IDS)
    head, bias = model.weights.tensors["lm_head.weight"], model.weights.tensors.get("lm_head.bias", 0)
    state = model.start()
    for token, vector in zip(IDS.tolist(), vectors, strict=True):
        state = model.advance(state, token)
        assert_nats(model, functional.log_softmax(head @ vector + bias), model.next(state))


@pytest.mark.parametrize("kind", MODELS)
def test_vectors_depend_on_nothing_behind(kind):
    model = build(kind)
    assert_close(model.vectors(IDS)[:9], model.vectors(IDS[:9]), **shape_of(model.settings))
    assert model.vectors(IDS[:0]).shape == (0, model.vectors(IDS).shape[1])
    assert model.table().shape == (TOKENIZER.size, model.settings.width)


def test_vectors_of_a_model_with_direct_connections_are_its_hidden_layer():
    assert build("ffn", direct=True).vectors(IDS).shape == (20, 11)


def test_a_long_text_has_the_same_recurrent_vectors_in_parts():
    model = build("rnn")
    whole = model.vectors(IDS)
    model.batch_tokens = 3
    assert_close(model.vectors(IDS), whole, **shape_of(model.settings))


def test_attention_rows_sum_to_one_and_see_nothing_behind():
    weights = build("transformer").attention(IDS[:6]).weights
    assert weights.shape == (2, 6, 7, 7)
    assert_close(weights.sum(axis=-1), np.ones((2, 6, 7)), width=7)
    assert (weights[..., ~np.tri(7, dtype=bool)] == 0).all()
    assert (weights[..., np.tri(7, dtype=bool)] > 0).all()


def test_attention_of_the_first_layer_by_hand():
    model = build("transformer", positions="none")
    tensors = model.weights.tensors
    ids = [model.form.start, *IDS[:4].tolist()]
    x = functional.rms_norm(tensors["embed_tokens.weight"][ids], tensors["layers.0.input_layernorm.weight"])
    for head in range(6):
        queries = x @ tensors["layers.0.self_attn.q_proj.weight"][4 * head : 4 * head + 4].T
        shared = head // 3
        keys = x @ tensors["layers.0.self_attn.k_proj.weight"][4 * shared : 4 * shared + 4].T
        scores = np.where(np.tri(5, dtype=bool), queries @ keys.T / 2, -np.inf)
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        assert_close(model.attention(IDS[:4]).weights[0, head], expected, width=12, size=np.abs(queries @ keys.T).max())


def test_attention_ends_where_the_context_does():
    with pytest.raises(UsageError, match="8 tokens, the first to start with, and a context of 7"):
        build("transformer").attention(IDS[:7])


def test_masks():
    assert attention_scores.mask("causal", 3).tolist() == np.tri(3, dtype=bool).tolist()
    assert attention_scores.mask("full", 2).all()
    for size in range(5):
        for prefix in range(size + 1):
            seen = [[key < max(prefix, query + 1) for key in range(size)] for query in range(size)]
            assert attention_scores.mask("prefix", size, prefix).tolist() == seen
