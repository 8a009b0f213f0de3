"""Contrastive search against its formula, worked out anew for each whole text."""

from functools import partial

import numpy as np
import pytest
from rounding import allowance, assert_close, shape_of, spread
from table_models import Table

from lmkit.errors import CheckpointError
from lmkit.generation import prompt_encoding
from lmkit.generation.contrastive import Contrastive, most_probable
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.sampler import Sampler

NEURAL = ["transformer.lm", "transformer-stream.lm", "lstm.lm", "gru-stream.lm", "mingru-file.lm", "ffn.lm",
          "ffn-documents.lm"]  # fmt: skip


def generated(model, prompt, alpha, k, most=10, explain=False, batch=1):
    ids = prompt_encoding.seen(model, prompt)
    stepper = Contrastive(model, Sampler(most_probable(k), never=[0]), alpha, explain=explain)
    generator = Generator(model, stepper, most=most, batch=batch)
    requests = [Request(0, ids, partial(prompt_encoding.state_after, model, ids)) for _ in range(batch)]
    return list(completions(generator.run(requests)))


def cosine(one, other):
    return one @ other / np.sqrt((one @ one) * (other @ other))


def scores(model, ids, alpha, k):
    """The score of each of the k tokens that may follow ids, from the vectors of whole sequences."""
    state = model.start()
    for token in ids:
        state = model.advance(state, token)
    probabilities = np.exp(model.next(state))
    probabilities[0] = 0
    found = {}
    for token in sorted(range(len(probabilities)), key=lambda token: (-probabilities[token], token))[:k]:
        vectors = model.vectors(np.array([*ids, token], dtype=np.int32)).astype(np.float64)
        likeness = max((cosine(vectors[-1], vector) for vector in vectors[:-1]), default=0.0)
        found[token] = (1 - alpha) * probabilities[token] - alpha * likeness
    return found


@pytest.mark.few(14)
@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("prompt", [b"", b"the"])
@pytest.mark.parametrize(("alpha", "k"), [(0.6, 4), (0.2, 3), (1.0, 6)])
def test_each_token_is_the_best_by_the_formula(name, prompt, alpha, k, opened):
    model = opened(name)
    (text,) = generated(model, prompt, alpha, k, explain=True)
    before = prompt_encoding.seen(model, prompt).tolist()
    rounded = allowance(spread(model.next(model.start())), **shape_of(model.settings))
    for place, token in enumerate([*text.ids, *text.closing]):
        by_formula = scores(model, [*before, *text.ids[:place]], alpha, k)
        assert by_formula[token] >= max(by_formula.values()) - rounded
        assert {item.token: item.score for item in text.trace[place]} == pytest.approx(by_formula, abs=rounded)


@pytest.mark.parametrize("name", NEURAL)
def test_texts_run_beside_others_are_the_same(name, opened):
    (alone,) = generated(opened(name), b"the", 0.6, 4)
    assert {tuple(text.ids) for text in generated(opened(name), b"the", 0.6, 4, batch=3)} == {tuple(alone.ids)}


@pytest.mark.parametrize("name", NEURAL)
def test_hidden_states_are_the_vectors_of_the_last_token(name, opened):
    model = opened(name)
    state = model.start()
    ids = [5, 7, 3, 3, 9, 4, 8, 6, 5, 7, 7, 3]
    for count, token in enumerate(ids, 1):
        state = model.advance(state, token)
        vectors = model.vectors(np.array(ids[:count], np.int32))
        assert_close(model.hidden(state), vectors[-1], **shape_of(model.settings))


def test_models_without_hidden_states():
    with pytest.raises(CheckpointError, match="hidden states"):
        Contrastive(Table(4, 0, lambda: [1, 1]), Sampler(most_probable(2)), 0.5)
