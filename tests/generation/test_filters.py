"""Tests of: filters.py, candidates.py. Against definitions worked out token by token; where numbers are not exact."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lmkit.errors import UsageError
from lmkit.generation import filters, top_k
from lmkit.generation.candidates import Candidates
from lmkit.generation.filters import FILTERS, NEAR, ROUNDING, Chain, Filtering

WEIGHTS = st.lists(
    st.sampled_from([0.0, 1e-300, 1e-9, 0.05, 0.15, 0.3, 0.3, 0.5, 1.0]) | st.floats(1e-6, 1),
    min_size=1, max_size=12,
).filter(any)  # fmt: skip
LOGS = WEIGHTS.map(lambda weights: logs_of(*weights))
SHARES = st.sampled_from([0.0, 1e-12, 0.05, 0.3, 0.5, 0.6, 0.8, 0.95, 0.999999, 1.0]) | st.floats(0, 1)
FOUR = (0.5, 0.3, 0.15, 0.05)


def logs_of(*weights):
    with np.errstate(divide="ignore"):
        return np.log(np.array(weights) / sum(weights))


def kept(candidates, row=0):
    """The tokens left of a row."""
    left = np.flatnonzero(candidates.logs[row] > -np.inf)
    return sorted((left if candidates.ids is None else candidates.ids[row][left]).tolist())


def letters(**asked):
    left = Filtering(**asked).chain()(logs_of(*FOUR)[None])
    return "".join("abcd"[token] for token in kept(left))


# The definitions, in plain Python. Each gives the smallest and the largest set that rounding allows.


def ranking(logs):
    return sorted((token for token in range(len(logs)) if logs[token] > -np.inf), key=lambda token: -logs[token])


def reaching(order, logs, p):
    def fewest(mass):
        sums = (math.fsum(math.exp(logs[token]) for token in order[:n]) for n in range(1, len(order) + 1))
        return next((n for n, reached in enumerate(sums, 1) if reached >= mass), len(order))

    return [set(order[: fewest(p - 1e-6)]), set(order[: fewest(p)])]


def at_least(logs, bound):
    best = ranking(logs)[:1]
    return [{*best, *(t for t in ranking(logs) if logs[t] >= bound - slack)} for slack in (0, 10 * NEAR)]


def entropy(logs):
    return -math.fsum(math.exp(log) * log for log in logs.tolist() if log > -np.inf)


def typical_order(logs):
    nats = entropy(logs)
    return sorted(ranking(logs), key=lambda token: round(abs(-logs[token] - nats), 9))


def near_ties(logs):
    """Tokens that are as far from the entropy on either side, where rounding may decide."""
    far = sorted(abs(-logs[token] - entropy(logs)) for token in ranking(logs))
    return any(0 < later - sooner < 1e-8 for sooner, later in pairwise(far))


DEFINITIONS = {
    "top_k": (lambda logs, k: [set(ranking(logs)[: k or None])] * 2, st.integers(0, 15)),
    "top_p": (lambda logs, p: reaching(ranking(logs), logs, p) if p < 1 else [set(ranking(logs))] * 2, SHARES),
    "min_p": (lambda logs, p: at_least(logs, logs.max() + math.log(p) if p else -np.inf), SHARES),
    "typical": (lambda logs, p: reaching(typical_order(logs), logs, p) if p < 1 else [set(ranking(logs))] * 2, SHARES),
    "epsilon": (lambda logs, e: at_least(logs, math.log(e) if e else -np.inf), SHARES),
    "eta": (
        lambda logs, e: at_least(logs, math.log(min(e, math.sqrt(e) * math.exp(-entropy(logs)))) if e else -np.inf),
        SHARES,
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
@given(data=st.data(), logs=LOGS)
def test_filters_keep_what_their_definitions_say(name, data, logs):
    define, values = DEFINITIONS[name]
    value = data.draw(values)
    assume(name != "typical" or not near_ties(logs))
    done = getattr(filters, name)(Candidates(None, logs[None]), value)
    fewest, most = define(logs, value)
    left = set(kept(done))
    assert left
    assert min(fewest, most, key=len) <= left <= max(fewest, most, key=len)
    spread = done.spread(len(logs))[0]
    assert [spread[token] for token in sorted(left)] == [logs[token] for token in sorted(left)]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", DEFINITIONS)
@given(data=st.data(), logs=LOGS)
def test_long_vocabularies_are_filtered_the_same(name, data, logs):
    """Shortlists leave nothing out, in float64 and float32, with ties."""
    value = data.draw(DEFINITIONS[name][1])
    many = np.tile(logs - math.log(300), 300)
    for dtype in (np.float64, np.float32):
        rows = np.stack([many, many[::-1]]).astype(dtype)
        short = getattr(filters, name)(Candidates(None, rows), value)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(top_k, "LONG", 16)
            long = getattr(filters, name)(Candidates(None, rows), value)
            alone = [getattr(filters, name)(Candidates(None, row[None]), value) for row in rows]
        for row in range(2):
            assert kept(alone[row]) == kept(long, row)
            if dtype == np.float64 and name != "typical":
                assert kept(long, row) == kept(short, row)
            assert abs(len(kept(long, row)) - len(kept(short, row))) <= len(many) / 100  # masses of float32


@given(logs=LOGS, temperature=st.floats(1e-6, 1e6))
def test_temperature(logs, temperature):
    done = filters.temperature(Candidates(None, logs[None]), temperature).logs[0]
    expected = [-np.inf if log == -np.inf else (log - logs.max()) / temperature for log in logs.tolist()]
    np.testing.assert_allclose(done, expected, rtol=1e-12)


@given(logs=LOGS)
def test_temperature_of_nothing_leaves_the_first_of_the_best(logs):
    assert kept(filters.temperature(Candidates(None, logs[None]), 0)) == [int(logs.argmax())]


@given(rows=st.integers(1, 5), size=st.integers(1, 9), data=st.data())
def test_rows_are_filtered_as_if_alone(rows, size, data):
    weights = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.3, 1.0]), min_size=size, max_size=size).filter(any)
    logs = np.stack([logs_of(*data.draw(weights)) for _ in range(rows)])
    names = data.draw(st.lists(st.sampled_from(sorted(FILTERS)), unique=True, max_size=4))
    steps = [(name, data.draw(st.sampled_from([0.5, 0.9]) if name != "top-k" else st.integers(0, 9))) for name in names]
    chain = Chain(steps)
    together = chain(logs)
    for row in range(rows):
        alone = chain(logs[row][None])
        assert kept(together, row) == kept(alone)
        np.testing.assert_array_equal(together.spread(size)[row], alone.spread(size)[0])


def test_ties_at_the_border_go_to_the_lower_id():
    logs = logs_of(1, 2, 1, 2, 1, 1)[None]
    assert kept(filters.top_k(Candidates(None, logs), 3)) == [0, 1, 3]
    assert kept(filters.top_k(Candidates(None, logs), 1)) == [1]
    assert kept(filters.top_p(Candidates(None, logs), 0.6)) == [0, 1, 3]
    assert kept(filters.epsilon(Candidates(None, logs), 0.9)) == [1]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # J5, J6, J7; then figures worked out by hand: H = 1.1421 nats, surprisals .693, 1.204, 1.897, 2.996.
        ({"top_k": 2}, "ab"), ({"top_p": 0.5}, "a"), ({"top_p": 0.6}, "ab"), ({"top_p": 0.81}, "abc"),
        ({"top_p": 1.0}, "abcd"), ({"top_p": 1e-8}, "a"), ({"top_p": 0.0}, "a"),
        ({"temperature": 2.0, "top_p": 0.5}, "ab"), ({"temperature": 2.0, "top_p": 0.5, "order": "top-p,temp"}, "a"),
        ({"min_p": 0.1}, "abcd"), ({"min_p": 0.11}, "abc"), ({"min_p": 0.31}, "ab"), ({"min_p": 1.0}, "a"),
        ({"epsilon": 0.05}, "abcd"), ({"epsilon": 0.06}, "abc"), ({"epsilon": 0.9}, "a"),
        # typical: |surprisal - H| = .449, .062, .755, 1.854
        ({"typical": 0.3}, "b"), ({"typical": 0.31}, "ab"), ({"typical": 0.8}, "ab"), ({"typical": 0.81}, "abc"),
        # eta = min(e, sqrt(e) exp(-1.1421) = .3192 sqrt(e))
        ({"eta": 0.5}, "ab"), ({"eta": 0.2}, "abc"), ({"eta": 0.02}, "abcd"), ({"eta": 0.06}, "abc"),
        ({"typical": 0.3, "top_k": 1}, "a"), ({"typical": 0.3, "top_k": 1, "order": "typical,top-k"}, "b"),
    ],
)  # fmt: skip
def test_figures(asked, expected):
    assert letters(**asked) == expected


# Numbers that are not exact.


def surely(candidates):
    """The tokens that are left of a row for sure."""
    ids = np.arange(candidates.logs.shape[1]) if candidates.ids is None else candidates.ids[0]
    sure = np.ones(len(ids), dtype=bool) if candidates.sure is None else candidates.sure[0]
    return set(ids[sure & (candidates.logs[0] > -np.inf)].tolist())


def border(name, logs, rng):
    """A setting of a filter for which one token more or less is just kept of a distribution."""
    logs = logs.astype(np.float64) - np.log(np.exp(logs.astype(np.float64)).sum())
    logs = logs[np.argsort(-logs, kind="stable")]
    some, nats = int(rng.integers(len(logs))), -(np.exp(logs) * logs).sum()
    near = np.argsort(np.abs(-logs - nats), kind="stable")
    least = math.exp(logs[some])
    return {
        "top-k": some + 1,
        "top-p": np.exp(logs)[: some + 1].sum() + rng.choice([-1e-8, 2e-7]),
        "typical": np.exp(logs)[near][: some + 1].sum() + rng.choice([-1e-8, 2e-7]),
        "min-p": math.exp(logs[some] - logs[0]) * (1 + rng.choice([-1e-5, 1e-5])),
        "epsilon": least * (1 + rng.choice([-1e-5, 1e-5])),
        "eta": max(least if least * math.exp(2 * nats) >= 1 else (least * math.exp(nats)) ** 2, 1e-9)
        * (1 + rng.choice([-1e-5, 1e-5])),
    }[name]


@pytest.mark.few(10)
@pytest.mark.parametrize("error", [1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("before", [None, "top-k", "top-p", "typical", "min-p", "temperature"])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_what_is_sure_is_so_whatever_the_errors(name, before, error):
    """What is kept of true numbers is kept of wrong ones, and what is sure of these is kept of the true.

    The numbers are float32, tie or all but tie, errors are the largest allowed or less, and every setting is such
    that a token is just kept or just not of the true numbers, of the wrong ones or of some between.
    """
    name, rng = name.replace("_", "-"), np.random.default_rng(len(name) + 7 * len(before or ""))
    for trial in range(40):
        size = int(rng.integers(1, 9))
        wrong = rng.choice([-0.7, -1.2, -2.0, -4.0, -np.inf], size=size, p=[0.3, 0.3, 0.2, 0.1, 0.1])
        wrong[0] = -1.2
        wrong = (wrong + error * rng.choice([0, 0, 0.5, 1, 1.9, 1.99, 2, 3], size=size)).astype(np.float32)
        signs = rng.choice([-1, 1, 1, 0.3], size=size)
        if trial % 3 == 0:
            signs = np.where(wrong >= rng.choice(wrong), 1, -1) * rng.choice([-1, 1])
        true = (wrong + error * signs).astype(np.float32)
        there = wrong > -np.inf
        off = max(error, float(np.abs(wrong[there].astype(np.float64) - true[there]).max()))
        middle = [true, wrong, (true + wrong) / 2][trial % 3][there]
        steps = (
            []
            if before is None or before == name
            else [(before, border(before, middle, rng))]
            if before != "temperature"
            else [(before, float(rng.choice([0.0, 0.5, 1.7])))]
        )
        if steps:
            middle = Chain(steps)(middle[None]).logs[0]
            middle = middle[middle > -np.inf]
        chain = Chain([*steps, (name, min(border(name, middle, rng), 1.0 if name != "top-k" else 99))])
        with pytest.MonkeyPatch.context() as patch:
            if trial % 2:
                patch.setattr(top_k, "LONG", 1)
            exact, rough = chain(true[None]), chain(wrong[None], off)
        assert set(kept(exact)) <= set(kept(rough)), (chain.names, true, wrong)
        assert surely(rough) <= set(kept(exact)), (chain.names, true, wrong)


@pytest.mark.parametrize("name", FILTERS)
def test_most_is_sure_where_errors_are_small(name):
    """Doubt is rare, or rows would be run twice for nothing."""
    logs = np.log(np.random.default_rng(1).dirichlet(np.full(5000, 0.3), size=4)).astype(np.float32)
    value = {"temperature": 0.7, "top-k": 40}.get(name, 0.9 if name in ("top-p", "typical") else 3e-4)
    left = Chain([(name, value)])(logs, 1e-6)
    there = left.logs > -np.inf
    assert left.sure is None or left.sure[there].mean() > 0.9


# Chains.


def test_orders_are_told_as_they_are_applied():
    assert Filtering().chain().names == []
    assert Filtering(top_p=0.9, temperature=2, eta=0.1).chain().names == ["temperature", "top-p", "eta"]
    assert Filtering(order="temp,top-k,top-p").chain().names == ["temperature", "top-k", "top-p"]
    assert Filtering(top_k=3, order=" min-p , top-k").chain().names == ["min-p", "top-k"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"order": ""}, "''"), ({"order": "x"}, "'x'"), ({"order": "temp,temperature"}, "temperature twice"),
     ({"order": "top-k", "top_p": 0.5}, "leaves out top-p"), ({"order": "top_p"}, "'top_p'")],
)  # fmt: skip
def test_orders_that_are_none(asked, told):
    with pytest.raises(UsageError, match=told):
        Filtering(**asked).chain()


def test_rounding_is_less_than_what_is_asked_for():
    assert letters(top_p=0.5 + 2 * ROUNDING) == "ab"
    assert letters(top_p=0.5 + ROUNDING / 2) == "a"
