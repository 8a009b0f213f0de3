"""Texts generated beside one another are those that single steps give."""

from functools import partial

import numpy as np
import pytest

from lmkit.data.keyed_random import stream_of
from lmkit.generation import batching, prompt_encoding
from lmkit.generation.batching import StateRows
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper

MODELS = (
    "transformer.lm", "transformer-stream.lm", "lstm.lm", "gru-stream.lm", "mingru-file.lm", "ffn.lm",
    "ffn-documents.lm", "char-katz.lm", "modified-kneser-ney-3.lm",
)  # fmt: skip
WAYS = {
    "ancestral": {},
    "filtered": {"temperature": 0.8, "top_k": 7, "top_p": 0.9},
    "top-p": {"top_p": 0.6},
    "others": {"min_p": 0.02, "typical": 0.9},
    "greedy": None,
}


def chooser(model, way):
    chain = Filtering(**(WAYS[way] or {})).chain()
    return Sampler(chain, never=prompt_encoding.never(model, unknown=False), greedy=WAYS[way] is None)


def requests(model, count=9):
    """Some after nothing, some after prompts of several lengths."""
    tokens = [token for token in range(model.tokenizer.size) if token not in model.tokenizer.specials.values()]
    for stream in range(count):
        ids = np.array(tokens[stream : stream + stream % 4], dtype=np.int32)
        yield Request(stream_of(0, "text", stream), ids, partial(prompt_encoding.state_after, model, ids), label=stream)


def generated(model, stepper, batch, most=25):
    """Ids by label; texts end at different lengths, as some reach the end of a line."""
    events = Generator(model, stepper, most=most, batch=batch).run(requests(model))
    done = list(completions(events))
    assert [event.request.label for event in done] == list(range(9))
    return [event.ids for event in done]


@pytest.mark.few(3)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_a_text_is_the_same_in_any_company(name, way, opened):
    model = opened(name)
    expected = generated(model, SequentialStepper(model, chooser(model, way)), 1)
    for batch in (1, 2, 7, 32):
        assert generated(model, BatchedStepper(model, chooser(model, way)), batch) == expected


class Noisy:
    """A model whose rows are wrong by as much as they may be, now up, now down."""

    def __init__(self, model, tolerance):
        self.tokenizer, self.form, self.tolerance = model.tokenizer, model.form, tolerance
        self.start, self.advance = model.start, model.advance
        self._model = model
        self.asked = 0

    def next(self, state):
        self.asked += 1
        return self._model.next(state)

    def rows(self, states):
        return NoisyRows(self._model, states, self.tolerance)


class NoisyRows(StateRows):
    def __init__(self, model, states, tolerance):
        super().__init__(model, states)
        self._tolerance, self._random = 0.999 * tolerance, np.random.default_rng(0)

    def next(self):
        exact = super().next().astype(np.float32)
        return exact + self._random.choice([-1, 0, 1], exact.shape).astype(np.float32) * np.float32(self._tolerance)


@pytest.mark.few(6)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tolerance", [1e-3, 0.05, 0.5])
@pytest.mark.parametrize("name", ["transformer.lm", "char-katz.lm"])
def test_errors_of_rows_change_no_text(name, tolerance, way, opened):
    model = opened(name)
    noisy = Noisy(model, tolerance)
    expected = generated(model, SequentialStepper(model, chooser(model, way)), 1)
    assert generated(noisy, BatchedStepper(noisy, chooser(model, way)), 7) == expected
    assert noisy.asked > 0 or tolerance == 1e-3


def test_errors_that_are_not_told_change_texts(opened, monkeypatch):
    """So the law above can fail."""
    model = opened("transformer.lm")
    noisy = Noisy(model, 0.5)
    together = BatchedStepper(noisy, chooser(model, "ancestral"))
    monkeypatch.setattr(batching, "errors", lambda _, logs: np.zeros(len(logs)))
    expected = generated(model, SequentialStepper(model, chooser(model, "ancestral")), 1)
    assert generated(noisy, together, 7) != expected
