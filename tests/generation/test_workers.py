"""Texts that processes share are those of single steps."""

import gc
import os
import signal
from functools import partial

import numpy as np
import pytest
from table_models import Noisy, Table

from lmkit.data.keyed_random import stream_of
from lmkit.errors import CheckpointError, ProcessError
from lmkit.generation import prompt_encoding, workers
from lmkit.generation.engine import Completion, Failed, Generator, Request
from lmkit.generation.filters import Filtering
from lmkit.generation.penalties import NoRepeat
from lmkit.generation.sampler import NoCandidateError, Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper

TEXTS = 30
MODELS = ("transformer.lm", "lstm.lm", "gru-stream.lm", "ffn-documents.lm", "modified-kneser-ney-3.lm")


@pytest.fixture(autouse=True)
def small_shares(monkeypatch):
    """Two texts are enough for a process."""
    monkeypatch.setattr(workers, "LEAST", 2)


def chooser_of(model, **more):
    chain = Filtering(temperature=0.9, top_p=0.95).chain()
    return Sampler(chain, never=prompt_encoding.never(model, unknown=False), **more)


def requests(model, count=TEXTS):
    """After prompts of several lengths, some of them the same."""
    tokens = [token for token in range(model.tokenizer.size) if token not in model.tokenizer.specials.values()]
    for text in range(count):
        ids = np.array(tokens[: text // 3 % 5], dtype=np.int32)
        yield Request(stream_of(0, "text", text), ids, partial(prompt_encoding.state_after, model, ids), label=text)


def told(model, stepper, batch, asked, *, most=40, stops=()):
    events = Generator(model, stepper, most=most, stops=stops, batch=batch).run(asked)
    done = [event for event in events if isinstance(event, Completion)]
    assert [event.request.label for event in done] == list(range(len(done)))
    return [(event.ids, event.text, event.finish_reason) for event in done]


def shared(model, chooser, count, *, most=40, stops=()):
    make = partial(BatchedStepper if hasattr(model, "rows") else SequentialStepper, model, chooser)
    return workers.Workers(model, make, most=most, stops=stops, count=count)


@pytest.mark.few(1)
@pytest.mark.parametrize("stops", [(), (b"a", b"the ")])
@pytest.mark.parametrize("name", MODELS)
def test_texts_are_the_same(name, stops, opened):
    model = opened(name)
    expected = told(model, SequentialStepper(model, chooser_of(model)), 1, requests(model), stops=stops)
    assert stops or "stream" in name or any(reason != "length" for _, _, reason in expected)
    for count, batch in ((2, 4), (2, 32), (3, 9), (5, 8)):
        stepper = shared(model, chooser_of(model), count, stops=stops)
        assert told(model, stepper, batch, requests(model), stops=stops) == expected
        assert len(stepper._others) == min(count, batch // 2, TEXTS // 2) - 1


class Digits:
    """A constraint of one text: so many tokens, each of which is one of two."""

    def __init__(self, size, length):
        self._size, self._left = size, length

    def allowed(self):
        allowed = np.zeros(self._size, dtype=np.bool_)
        allowed[5:7] = True
        return allowed

    def can_continue(self, _token):
        return True

    def add(self, _token):
        self._left -= 1

    @property
    def finished(self):
        return self._left == 0


def test_texts_with_constraints_stay_with_the_others(opened):
    model = opened("transformer.lm")

    def asked():
        for request in requests(model):
            length = request.label % 7
            held = Digits(model.tokenizer.size, length) if request.label % 3 == 0 else None
            yield Request(request.stream, request.prompt, request.after, held, request.label)

    expected = told(model, SequentialStepper(model, chooser_of(model)), 1, asked())
    assert told(model, shared(model, chooser_of(model), 2), 12, asked()) == expected


def test_penalties_see_what_a_text_has(opened):
    model = opened("transformer-stream.lm")
    chooser = chooser_of(model, penalties=[NoRepeat(2, "all")])
    expected = told(model, SequentialStepper(model, chooser), 1, requests(model))
    assert told(model, shared(model, chooser, 3), 16, requests(model)) == expected


class Ending(Table):
    """Behind the text `ba` nothing follows."""

    def next(self, state):
        logs = super().next(state)
        return np.full_like(logs, -np.inf) if state[-2:] == (4, 3) else logs


@pytest.mark.few(2)
@pytest.mark.parametrize("seed", range(6))
def test_texts_before_one_that_nothing_can_follow_are_told(seed):
    """However many go on beside them, in one process or several."""
    model = Ending(6, 3, lambda: [0.5, 1.0, 0.3, 2.0])

    def until_failure(stepper, batch, asked):
        done = []
        for event in Generator(model, stepper, most=20, batch=batch).run(asked):
            if isinstance(event, Failed):
                assert isinstance(event.error, NoCandidateError)
                return done, event.request.stream
            if isinstance(event, Completion):
                done.append(event.ids)
        return done, None

    def asked():
        return [
            Request(stream_of(seed, "text", text), np.zeros(0, dtype=np.int32), model.start, label=text)
            for text in range(TEXTS)
        ]

    chooser = Sampler(Filtering().chain())
    done, stream = until_failure(SequentialStepper(model, chooser), 1, asked())
    assert stream == asked()[len(done)].stream
    for batch in (2, 5, 32):
        assert until_failure(SequentialStepper(model, chooser), batch, asked()) == (done, stream)
        assert until_failure(BatchedStepper(Noisy(model, 1e-6, 0), chooser), batch, asked()) == (done, stream)
        assert until_failure(shared(model, chooser, 3), batch, asked()) == (done, stream)


class Broken(Table):
    """A model that fails behind three tokens, in all processes but the first."""

    here = os.getpid()

    def next(self, state):
        if os.getpid() != self.here and len(state) == 3:
            raise CheckpointError("damaged", hint="mend it")
        return super().next(state)


def test_what_fails_elsewhere_fails_here():
    model = Broken(6, 3, lambda: [0.0, 1.0, 1.0, 2.0])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        told(model, shared(model, Sampler(Filtering().chain()), 2), 8, requests(model))
    assert caught.value.hint == "mend it"


def processes_of(stepper):
    return [worker.process for worker in stepper._others]


def test_a_process_that_is_killed_is_told_of(opened):
    model = opened("transformer.lm")
    stepper = shared(model, chooser_of(model), 3, most=10**6)
    events = Generator(model, stepper, most=10**6, batch=8).run(requests(model))
    next(events)
    os.kill(processes_of(stepper)[1], signal.SIGKILL)
    with pytest.raises(ProcessError, match="worker process was killed"):
        list(events)


def test_processes_end_with_who_asks_them(opened):
    model = opened("transformer.lm")
    stepper = shared(model, chooser_of(model), 3)
    told(model, stepper, 8, requests(model))
    started = processes_of(stepper)
    assert len(started) == 2
    del stepper
    gc.collect()
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_few_texts_are_not_shared(opened, monkeypatch):
    monkeypatch.undo()
    model = opened("transformer.lm")
    stepper = shared(model, chooser_of(model), 2)
    told(model, stepper, 32, requests(model, 15))
    assert not processes_of(stepper)
    assert workers.pay(2, 16)
    assert not workers.pay(1, 16)
    assert not workers.pay(2, 15)
