"""Penalties against their formulas, and Mirostat against its algorithm."""

import math

import numpy as np
import pytest
from conftest import without_context_notice
from hypothesis import given
from hypothesis import strategies as st

from lmkit.generation.filters import Chain, Filtering
from lmkit.generation.mirostat import Mirostat
from lmkit.generation.penalties import NoRepeat, Presence, Repetition
from lmkit.generation.sampler import Position, Sampler

SIZE = 4
IDS = st.lists(st.integers(0, SIZE - 1), max_size=9)
SCOPES = st.sampled_from(["all", "output", 1, 2, 3, 5, 50])
FOUR = np.log(np.array([0.5, 0.3, 0.15, 0.05]))


def scoped(prompt, ids, scope):
    return {"all": prompt + ids, "output": ids}.get(scope) if isinstance(scope, str) else (prompt + ids)[-scope:]


def apply(penalty, *texts, logs=FOUR):
    places = [Position(0, np.array(prompt, np.int32), ids) for prompt, ids in texts]
    return penalty(np.tile(logs, (len(places), 1)), places)


@given(texts=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3), scope=SCOPES)
def test_repetition(texts, scope):
    done = apply(Repetition(1.3, scope), *texts)
    for row, (prompt, ids) in zip(done, texts, strict=True):
        seen = scoped(prompt, ids, scope)
        assert row.tolist() == [log * 1.3 if token in seen else log for token, log in enumerate(FOUR.tolist())]


@given(texts=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3), scope=SCOPES, both=st.booleans())
def test_presence_and_frequency(texts, scope, both):
    frequency = 0.25 if both else 0.0
    done = apply(Presence(0.5, frequency, scope), *texts)
    for row, (prompt, ids) in zip(done, texts, strict=True):
        counts = [scoped(prompt, ids, scope).count(token) for token in range(SIZE)]
        expected = [log - 0.5 * (count > 0) - frequency * count for log, count in zip(FOUR, counts, strict=True)]
        np.testing.assert_allclose(row, expected)


@given(texts=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3), scope=SCOPES, size=st.integers(1, 4))
def test_no_ngram_comes_twice(texts, scope, size):
    done = apply(NoRepeat(size, scope), *texts)
    for row, (prompt, ids) in zip(done, texts, strict=True):
        seen = scoped(prompt, ids, scope)
        grams = [tuple(seen[begin : begin + size]) for begin in range(len(seen) - size + 1)]
        for token in range(SIZE):
            again = len(seen) >= size - 1 and (*seen[len(seen) - size + 1 :], token) in grams
            assert row[token] == (-np.inf if again else FOUR[token])


def test_float32_stays_float32():
    for penalty in (Repetition(1.2), Presence(1, 1), Presence(1, 0), NoRepeat(1)):
        assert apply(penalty, ([1], [2]), logs=FOUR.astype(np.float32)).dtype == np.float32


@given(prompt=IDS, ids=IDS, data=st.data())
def test_what_is_sure_is_so_whatever_the_errors(prompt, ids, data):
    """Errors grow as log-probabilities do."""
    error = 0.05
    chooser = Sampler(Filtering(top_k=2).chain(), penalties=[Repetition(2.0), Presence(0.3, 0.1)], greedy=True)
    place = Position(0, np.array(prompt, np.int32), ids)
    base = np.log(np.array([0.3, 0.29, 0.26, 0.15]))
    off = error * np.array([data.draw(st.sampled_from([-1.0, 1.0]) | st.floats(-1, 1)) for _ in base])
    (wrong,), (sure,) = chooser(base[None], [place], error)
    (true,), _ = chooser((base + off)[None], [place])
    assert wrong == true or not sure


# Mirostat.


def mirostat_step(most, probabilities):
    """What Algorithm 2 of the paper keeps, in order."""
    order = sorted(range(len(probabilities)), key=lambda token: -probabilities[token])
    return [token for token in order if -math.log2(probabilities[token]) <= most + 1e-9] or order[:1]


@given(
    target=st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0]), rate=st.sampled_from([0.0, 0.1, 1.0]),
    numbers=st.lists(st.floats(0, 0.999), max_size=20), temperature=st.sampled_from([1.0, 0.5]),
)  # fmt: skip
def test_mirostat_is_the_algorithm_of_the_paper(target, rate, numbers, temperature):
    control, chain = Mirostat(target, rate), Chain([("temperature", temperature)])
    most, odds = 2 * target, np.exp(FOUR / temperature) / np.exp(FOUR / temperature).sum()
    for number in numbers:
        left = control.keep(chain(FOUR[None]))
        tokens = (np.arange(SIZE) if left.ids is None else left.ids[0])[left.logs[0] > -np.inf].tolist()
        assert tokens == mirostat_step(most, odds.tolist())
        token = tokens[int(number * len(tokens))]
        control.add(token)
        most -= rate * (-math.log2(odds[token]) - target)
        assert control.most == pytest.approx(most)


@pytest.fixture
def sample(lmkit, shelf):
    def sample(*arguments, model="four.arpa"):
        done = lmkit("sample", "--json", "-m", shelf[model], *arguments)
        assert (done.status, without_context_notice(done.stderr)) == (0, ""), done.stderr
        return done.records

    return sample


def test_mirostat_holds_the_surprise_near_its_target(sample):
    for target in ("1", "1.3"):
        records = sample("--mirostat", target, "--max-tokens", "400", "-n", "3")
        for record in records:
            assert -record["nats"] / math.log(2) / 400 == pytest.approx(float(target), abs=0.06)
        assert len({record["text"] for record in records}) == 3


@pytest.mark.parametrize("model", ["four.arpa", "transformer.lm", "lstm.lm"])
def test_mirostat_begins_anew_with_each_text(sample, model):
    options = ["--mirostat", "2", "--max-tokens", "12"]
    assert sample(*options, "-n", "4", model=model)[:2] == sample(*options, "-n", "2", model=model)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--presence-penalty", "1"], "a b a a"),
        (["--frequency-penalty", "1"], "a b a c"),
        (["--repetition-penalty", "2"], "a b a a"),
        (["--repetition-penalty", "3"], "a b c a"),
        (["--no-repeat-ngram", "1"], "a b c d"),
        (["--no-repeat-ngram", "2"], "a a b a"),
        (["--presence-penalty", "9", "--penalty-scope", "1"], "a b a b"),
        (["--presence-penalty", "9", "--prompt", "a b"], "c d a a"),
        (["--presence-penalty", "9", "--prompt", "a b", "--penalty-scope", "output"], "a b c d"),
        (["--presence-penalty", "9", "--prompt", "a b", "--penalty-scope", "2"], "c a b c"),
        (["--no-repeat-ngram", "2", "--prompt", "a a"], "b a c a"),
    ],
)
def test_penalties_of_greedy_texts(sample, options, text):
    (record,) = sample("--greedy", "--max-tokens", "4", *options)
    assert record["text"] == text


@pytest.mark.parametrize("model", ["transformer.lm", "lstm.lm", "witten-bell-3.lm"])
def test_penalised_texts_do_not_depend_on_what_else_is_drawn(sample, model):
    options = ["--repetition-penalty", "1.5", "--frequency-penalty", "0.2", "--no-repeat-ngram", "3", "--top-p", "0.9"]
    many = sample(*options, "-n", "5", "--max-tokens", "15", model=model)
    assert sample(*options, "-n", "2", "--max-tokens", "15", model=model) == many[:2]
    for record in many:
        ids = record["text"].split() if "witten" in model else list(record["text"])
        grams = [tuple(ids[begin : begin + 3]) for begin in range(len(ids) - 2)]
        assert len(grams) == len(set(grams))
