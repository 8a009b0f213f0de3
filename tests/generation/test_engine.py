"""Tests of: engine.py, steppers.py. Whole texts, of a model that is no n-gram model: only the interfaces are used."""

import math
from types import MappingProxyType

import numpy as np
import pytest

from lmkit.data.keyed_random import stream_of
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Completion, Failed, Generator, Request, TextDelta, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import NoCandidateError, Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper


class Pieces:
    kind = "word"
    parses_specials = False
    separator = None
    local = False
    size = 5
    specials = MappingProxyType({"unk": 0, "bos": 1, "eos": 2})

    def encode(self, text):
        return np.array(
            [["<unk>", "<s>", "</s>", "x", "y"].index(word) for word in text.decode().split()], dtype=np.int32
        )

    def decode(self, ids):
        return b" ".join(b"?.!xy"[token : token + 1] for token in ids)


class Alternating:
    """x and y in turn; the third word may be the last. States are lists, which can't be keys."""

    tokenizer = Pieces()
    form = TextFormat("line", 1, 2)

    def start(self):
        return []

    def advance(self, state, token):
        return [*state, token]

    def next(self, state):
        logs = np.full(5, -np.inf)
        logs[3 + len(state) % 2] = math.log(0.5) if len(state) == 3 else math.log(0.75)
        logs[0] = math.log(0.25)
        if len(state) == 3:
            logs[2] = math.log(0.25)
        return logs


class Continuous(Alternating):
    """The same for texts of several lines."""

    def __init__(self, *form):
        self.form = TextFormat(*form)


def texts(model, number, *, most=6, stops=(), stepper=SequentialStepper, batch=1, unknown=False, **asked):
    chooser = Sampler(Filtering(**asked).chain(), never=prompt_encoding.never(model, unknown=unknown))
    generator = Generator(model, stepper(model, chooser), most=most, stops=stops, batch=batch)
    empty = np.zeros(0, np.int32)
    requests = (Request(stream_of(0, "0", n), empty, model.start) for n in range(number))
    return list(completions(generator.run(requests)))


def test_models_of_any_family_are_sampled():
    (done,) = texts(Alternating(), 1, most=5, temperature=0)
    assert (done.text, done.ids, done.finish_reason) == (b"x y x y x", [3, 4, 3, 4, 3], "length")
    assert done.nats(Alternating()) == pytest.approx(math.log(0.75**4 * 0.5))


def test_ends_and_stops():
    made = texts(Alternating(), 200)
    assert {(done.text, done.finish_reason) for done in made} == {(b"x y x", "eos"), (b"x y x y x y", "length")}
    assert 40 < sum(done.finish_reason == "eos" for done in made) < 95  # a third of 200
    (stopped,) = texts(Alternating(), 1, stops=[b"zz", b"y x", b"y"])
    assert (stopped.text, stopped.finish_reason) == (b"x ", "stop")


def test_texts_are_the_same_alone_and_together():
    alone = [(done.ids, done.finish_reason) for done in texts(Alternating(), 20, temperature=3.0, unknown=True)]
    together = texts(Alternating(), 20, temperature=3.0, unknown=True, stepper=BatchedStepper, batch=7)
    assert [(done.ids, done.finish_reason) for done in together] == alone
    assert any(0 in ids for ids, _ in alone)


def test_unknown_words_are_left_out_unless_asked_for():
    for unknown in (True, False):
        made = texts(Alternating(), 30, unknown=unknown)
        assert any(0 in done.ids for done in made) == unknown


def test_the_state_after_a_prompt():
    model = Alternating()
    assert prompt_encoding.state_after(model, prompt_encoding.seen(model, b"x y")) == [3, 4]
    assert prompt_encoding.state_after(model, prompt_encoding.seen(model, b"")) == []


def test_line_ends_do_not_end_texts_of_several_lines():
    made = texts(Continuous("stream", 2, 2), 50)
    assert {done.finish_reason for done in made} == {"length"}
    assert {done.text for done in made} == {b"x y x y x y", b"x y x\nx y"}


def test_the_end_of_a_document_does():
    made = texts(Continuous("file", 2, 3, 2), 50)
    assert {(done.text, done.finish_reason) for done in made} == {(b"\ny\n", "eos"), (b"\ny\ny\ny", "length")}


def test_a_stop_may_reach_over_a_line_end():
    made = texts(Continuous("stream", 2, 2), 50, stops=[b"\nx y"])
    assert {(done.text, done.finish_reason) for done in made} == {(b"x y x", "stop"), (b"x y x y x y", "length")}


def test_a_prompt_of_several_lines():
    assert prompt_encoding.seen(Continuous("stream", 2, 2), b"x y\nx\n").tolist() == [3, 4, 2, 3, 2]


def test_a_prompt_beyond_the_context():
    model = Continuous("stream", 2, 2)
    model.prompt_limit = 3
    assert prompt_encoding.seen(model, b"x y x").tolist() == [3, 4, 3]
    with pytest.raises(DataError, match="prompt of 4 tokens exceeds the model's context of 3") as raised:
        prompt_encoding.seen(model, b"x y x x")
    assert "--window" in raised.value.hint
    assert prompt_encoding.seen(model, b"x y x x", window=True).tolist() == [4, 3, 3]


class Stuck(Alternating):
    """Nothing follows three tokens."""

    def next(self, state):
        return np.full(5, -np.inf) if len(state) == 3 else super().next(state)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_what_fails_is_an_event_behind_those_before_it(batch):
    model = Stuck()
    lengths = [2, 1, 3, 0]
    requests = [
        Request(0, np.zeros(0, np.int32), lambda length=length: [3] * length, label=length) for length in lengths
    ]
    broken = Failed(DataError("no prompt"))
    generator = Generator(model, SequentialStepper(model, Sampler(Filtering().chain())), most=1, batch=batch)
    events = [event for event in generator.run([*requests, broken]) if not isinstance(event, TextDelta)]
    assert [type(event) for event in events] == [Completion, Completion, Failed, Completion, Failed]
    assert isinstance(events[2].error, NoCandidateError)
    assert events[2].request is requests[2]
    assert events[4] is broken
    with pytest.raises(NoCandidateError):
        list(completions(generator.run(requests)))
