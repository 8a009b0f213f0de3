"""Filters, draws and whole texts."""

import math
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.errors import DataError, UsageError
from lmkit.text.sequences import TextForm
from lmkit.using import decoding

WEIGHTS = st.lists(
    st.sampled_from([0.0, 1e-300, 1e-9, 0.05, 0.15, 0.3, 0.3, 0.5, 1.0]), min_size=1, max_size=12
).filter(any)
LOGS = WEIGHTS.map(lambda weights: logs_of(*weights))


def logs_of(*weights):
    with np.errstate(divide="ignore"):
        return np.log(np.array(weights) / sum(weights))


def kept(logs):
    return np.flatnonzero(logs > -np.inf).tolist()


def total(logs):
    return math.fsum(np.exp(logs).tolist())


# Each filter.


@given(logs=LOGS, shift=st.sampled_from([0.0, 1.0, -1.0, 1e3, -1e3, 1e300]))
def test_normalise(logs, shift):
    done = decoding.normalise(logs + shift)
    assert total(done) == pytest.approx(1)
    if abs(shift) <= 1:
        np.testing.assert_allclose(np.exp(done), np.exp(logs), atol=1e-12)


def test_normalising_nothing():
    nothing = np.full(3, -np.inf)
    assert decoding.normalise(nothing).tolist() == nothing.tolist()
    assert decoding.normalise(np.zeros(0)).shape == (0,)


@given(logs=LOGS, temperature=st.floats(1e-6, 1e6))
def test_temperature(logs, temperature):
    done = decoding.with_temperature(logs, temperature)
    assert total(done) == pytest.approx(1)
    assert kept(done) == kept(logs)
    assert done.argmax() == logs.argmax()
    expected = [0.0 if log == -np.inf else math.exp((log - logs.max()) / temperature) for log in logs.tolist()]
    np.testing.assert_allclose(np.exp(done), np.array(expected) / sum(expected), atol=1e-9)


@given(logs=LOGS)
def test_temperature_of_one_changes_nothing(logs):
    np.testing.assert_allclose(np.exp(decoding.with_temperature(logs, 1.0)), np.exp(logs), atol=1e-12)


@given(logs=LOGS)
def test_temperature_of_nothing_leaves_the_first_of_the_best(logs):
    assert kept(decoding.with_temperature(logs, 0)) == [int(logs.argmax())]


@given(logs=LOGS, k=st.integers(0, 15))
def test_top_k(logs, k):
    done = decoding.top_k(logs, k)
    ranking = sorted(range(len(logs)), key=lambda token: (-logs[token], token))
    expected = sorted(token for token in ranking[: k or None] if logs[token] > -np.inf)
    assert kept(done) == expected
    assert total(done) == pytest.approx(1)
    np.testing.assert_allclose(done[expected] - done[expected[0]], logs[expected] - logs[expected[0]], atol=1e-9)


@given(logs=LOGS, p=st.sampled_from([0.0, 1e-12, 0.05, 0.3, 0.5, 0.6, 0.8, 0.95, 0.999999, 1.0]) | st.floats(0, 1))
def test_top_p(logs, p):
    done = decoding.top_p(logs, p)
    ranking = sorted(range(len(logs)), key=lambda token: (-logs[token], token))
    mass = np.exp(logs)
    count = next((n for n in range(1, len(logs) + 1) if math.fsum(mass[ranking[:n]]) >= p - 1e-11), len(logs))
    exact = next((n for n in range(1, len(logs) + 1) if math.fsum(mass[ranking[:n]]) >= p - 1e-13), len(logs))
    sizes = {len([token for token in ranking[:n] if logs[token] > -np.inf]) for n in (count, exact)}
    if p >= 1:
        sizes = {len(kept(logs))}
    assert len(kept(done)) in sizes
    assert set(kept(done)) == set(ranking[: len(kept(done))])
    assert total(done) == pytest.approx(1)


@given(logs=LOGS)
def test_filters_do_not_touch_what_they_are_given(logs):
    before = logs.copy()
    for apply in (
        lambda x: decoding.with_temperature(x, 0.5),
        lambda x: decoding.top_k(x, 2),
        lambda x: decoding.top_p(x, 0.5),
        decoding.normalise,
    ):
        apply(logs)
        assert logs.tolist() == before.tolist()


def test_ties_at_the_border_go_to_the_lower_id():
    logs = logs_of(1, 2, 1, 2, 1, 1)
    assert kept(decoding.top_k(logs, 3)) == [0, 1, 3]
    assert kept(decoding.top_k(logs, 1)) == [1]
    assert kept(decoding.top_p(logs, 0.6)) == [0, 1, 3]


# Chains.


def test_chains_are_made_in_order():
    assert [name for name, _ in decoding.filters(1, 0, 1, "top-p,temp,top-k")] == ["top-p", "temperature", "top-k"]
    logs = logs_of(0.5, 0.3, 0.15, 0.05)
    for order, expected in (("temperature,top-k,top-p", [0, 1]), ("top-p,top-k,temperature", [0])):
        done = logs
        for _, apply in decoding.filters(2.0, 0, 0.5, order):
            done = apply(done)
        assert kept(done) == expected


@pytest.mark.parametrize(
    "order",
    ["", "temperature", "top-k,top-p,top-p", "temperature,top-k,top-p,temp", "x,y,z", "temperature;top-k;top-p"],
)
def test_chains_that_are_none(order):
    with pytest.raises(UsageError):
        decoding.filters(1, 0, 1, order)


# Draws.


@given(seed=st.integers(0, 2**64), key=st.text(max_size=5), sample=st.integers(0, 2**40), step=st.integers(0, 2**40))
def test_numbers_lie_in_the_unit_interval(seed, key, sample, step):
    number = decoding.uniform(seed, key, sample, step)
    assert 0 <= number < 1
    assert decoding.uniform(seed, key, sample, step) == number


def test_numbers_stay_below_one_whatever_the_hash(monkeypatch):
    class Ones:
        def __init__(self, *_, **__):
            pass

        def digest(self):
            return b"\xff" * 8

    monkeypatch.setattr(decoding.hashlib, "blake2b", Ones)
    assert decoding.uniform(0, "0", 0, 0) < 1


def test_numbers_do_not_run_into_each_other():
    """Seed 1, sample 11 is not seed 11, sample 1, and so on."""
    made = {
        decoding.uniform(seed, key, sample, step)
        for seed in range(13)
        for key in ("", "1")
        for sample in range(13)
        for step in range(13)
    }
    assert len(made) == 13 * 2 * 13 * 13


def test_numbers_are_spread_evenly():
    numbers = np.array([decoding.uniform(0, "0", sample, 0) for sample in range(20_000)])
    seen = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert ((seen - 1000) ** 2 / 1000).sum() < 60
    lagged = np.corrcoef(numbers[:-1], numbers[1:])[0, 1]
    assert abs(lagged) < 0.03


@settings(max_examples=50)
@given(logs=LOGS, number=st.floats(0, 1, exclude_max=True))
def test_draws_are_tokens_that_can_be(logs, number):
    choices = decoding.Choices.of(logs)
    token = choices.draw(number)
    assert logs[token] > -np.inf
    mass = np.exp(logs)
    assert math.fsum(mass[:token]) <= number + 1e-9
    assert math.fsum(mass[: token + 1]) >= number - 1e-9


def test_draws_at_the_borders():
    choices = decoding.Choices.of(logs_of(0, 1, 0, 1, 0))
    assert [choices.draw(number) for number in (0.0, 0.25, 0.5, 0.75, 1 - 2**-53, 1.0)] == [1, 1, 3, 3, 3, 3]


# Ranking.


def test_ranking():
    logs = logs_of(1, 0, 3, 1, 3)
    assert list(decoding.ranked(logs, None)) == [2, 4, 0, 3]
    assert list(decoding.ranked(logs, 3)) == [2, 4, 0]
    assert list(decoding.ranked(np.full(3, -np.inf), None)) == []


# Texts, of a model that is no n-gram model: the interfaces are all that is used.


class Pieces:
    kind = "word"
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
    form = TextForm("line", 1, 2)

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


CHAIN = decoding.filters(1.0, 0, 1.0, "temperature,top-k,top-p")
GREEDY = decoding.filters(0.0, 0, 1.0, "temperature,top-k,top-p")


def test_models_of_any_family_are_sampled():
    model = Alternating()
    done = decoding.Sampler(model, GREEDY).generate(model.start(), key="0", sample=0, seed=0, most=5)
    assert (done.text, done.ids, done.finish_reason) == (b"x y x y x", [3, 4, 3, 4, 3], "length")
    assert done.nats == pytest.approx(math.log(0.75**4 * 0.5))


def test_ends_and_stops():
    model = Alternating()
    sampler = decoding.Sampler(model, CHAIN)
    made = [sampler.generate(model.start(), key="0", sample=sample, seed=0, most=6) for sample in range(200)]
    assert {(done.text, done.finish_reason) for done in made} == {(b"x y x", "eos"), (b"x y x y x y", "length")}
    ended = sum(done.finish_reason == "eos" for done in made)
    assert 40 < ended < 95  # a third of 200
    stopped = sampler.generate(model.start(), key="0", sample=0, seed=0, most=6, stops=[b"zz", b"y x", b"y"])
    assert (stopped.text, stopped.finish_reason) == (b"x ", "stop")


def test_the_state_after_a_prompt():
    model = Alternating()
    assert decoding.state_after(model, b"x y") == [3, 4]
    assert decoding.state_after(model, b"") == []


def test_unknown_words_are_left_out_unless_asked_for():
    model = Alternating()
    assert decoding.Sampler(model, CHAIN).choices([])[0].tokens.tolist() == [3]
    assert decoding.Sampler(model, CHAIN, unknown=True).choices([])[0].tokens.tolist() == [0, 3]


class Continuous(Alternating):
    """The same for texts of several lines."""

    def __init__(self, *form):
        self.form = TextForm(*form)


def test_line_ends_do_not_end_texts_of_several_lines():
    sampler = decoding.Sampler(Continuous("stream", 2, 2), CHAIN)
    made = [sampler.generate([], key="0", sample=sample, seed=0, most=6) for sample in range(50)]
    assert {done.finish_reason for done in made} == {"length"}
    assert {done.text for done in made} == {b"x y x y x y", b"x y x\nx y"}


def test_the_end_of_a_document_does():
    sampler = decoding.Sampler(Continuous("file", 2, 3, 2), CHAIN)
    made = [sampler.generate([], key="0", sample=sample, seed=0, most=6) for sample in range(50)]
    assert {(done.text, done.finish_reason) for done in made} == {(b"\ny\n", "eos"), (b"\ny\ny\ny", "length")}


def test_a_stop_may_reach_over_a_line_end():
    sampler = decoding.Sampler(Continuous("stream", 2, 2), CHAIN)
    made = [sampler.generate([], key="0", sample=s, seed=0, most=6, stops=[b"\nx y"]) for s in range(50)]
    assert {(done.text, done.finish_reason) for done in made} == {(b"x y x", "stop"), (b"x y x y x y", "length")}


def test_a_prompt_of_several_lines():
    assert decoding.state_after(Continuous("stream", 2, 2), b"x y\nx\n") == [3, 4, 2, 3, 2]


def test_a_prompt_beyond_the_context():
    model = Continuous("stream", 2, 2)
    model.prompt_limit = 3
    assert decoding.state_after(model, b"x y x") == [3, 4, 3]
    with pytest.raises(DataError, match="prompt of 4 tokens exceeds the model's context of 3") as raised:
        decoding.state_after(model, b"x y x x")
    assert "--window" in raised.value.hint
    assert decoding.state_after(model, b"x y x x", window=True) == [4, 3, 3]


def test_the_store_of_distributions_may_be_emptied_at_any_time(opened):
    model = opened("char-witten-bell.lm")

    def texts(limit):
        sampler = decoding.Sampler(model, CHAIN)
        made = []
        for sample in range(20):
            if sample % limit == 0:
                sampler._choices.clear()
            made.append(sampler.generate(model.start(), key="0", sample=sample, seed=0, most=30))
        return made

    assert texts(1) == texts(1000)
