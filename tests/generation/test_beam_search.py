"""Beam search against enumeration, against searches to the end, and against itself where models round."""

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_models import BOS, EOS, Noisy, Table, enumerated

from lmkit.errors import DataError, UsageError
from lmkit.generation.beam_search import Beams, BeamSearch
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Chain
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import SequentialStepper
from lmkit.protocols import supports_batching

EVEN = [0.0, 0.1, 0.25, 0.25, 0.5, 0.5, 1.0]
ALPHAS = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, -0.7])


def halves(rng, size):
    """Halves, quarters and so on that sum to one, of which many texts are equally probable."""
    parts = [1.0]
    for _ in range(rng.integers(0, size)):
        part = parts.pop(rng.integers(len(parts)))
        parts += [part / 2, part / 2]
    return rng.permutation([*parts, *[0.0] * (size - len(parts))])


@st.composite
def tables(draw, least=3, most=5):
    """Tables of few tokens, with ties and impossible tokens, or without."""
    size = draw(st.integers(least, most))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["halves", "even", "any"]))

    def row():
        if kind == "halves":
            return halves(rng, size - 2)
        weights = rng.choice(EVEN, size - 2) if kind == "even" else rng.random(size - 2)
        return weights if weights.any() else np.ones(size - 2)

    return Table(size, draw(st.integers(0, 3)), row)


def request(model):
    return Request(0, np.zeros(0, np.int32), model.start)


def found(model, *, most, early=True, stops=(), explain=False, never=(), penalties=(), **beams):
    search = BeamSearch(
        model, Beams(**beams), most=most, early=early, stops=stops, explain=explain, never=never, penalties=penalties
    )
    return list(search.run([request(model)]))


def shown(texts):
    return [((*text.ids, *text.closing), text.finish_reason, text.text) for text in texts]


def sequences(texts):
    return [((*text.ids, *text.closing), text.finish_reason) for text in texts]


def greedy(model, most, stops=()):
    generator = Generator(model, SequentialStepper(model, Sampler(Chain(), greedy=True)), most=most, stops=stops)
    return list(completions(generator.run([request(model)])))


class Same:
    """A penalty that changes nothing, with which searches look at all tokens of single steps."""

    growth = 1.0

    def __call__(self, logs, places):
        return logs


@given(
    seed=st.integers(0, 2**32 - 1), width=st.integers(1, 5), alpha=ALPHAS, tolerance=st.sampled_from([0.0, 1e-3, 0.1]),
    groups=st.booleans(), even=st.booleans(),
)  # fmt: skip
def test_what_is_looked_at_is_enough(seed, width, alpha, tolerance, groups, even):
    rng = np.random.default_rng(seed)

    def row():
        if even:
            return rng.integers(0, 4, 40) + 1e-9
        return rng.random(40) ** 6 + 1e-12

    exact = Table(42, 1, row)
    model = Noisy(exact, tolerance, seed)
    beams = {"width": width, "number": width, "alpha": alpha}
    if groups and width % 2 == 0:
        beams |= {"groups": 2, "diversity": 0.7}
    with_all = found(exact, most=6, penalties=[Same()], **beams)
    assert shown(found(model, most=6, **beams)) == shown(with_all)
    assert shown(found(exact, most=6, **beams)) == shown(with_all)


# Against enumeration.


@given(model=tables(), most=st.integers(1, 4), alpha=ALPHAS)
def test_a_beam_that_holds_all_gives_all_in_order(model, most, alpha):
    words = model.tokenizer.size - 2
    every = enumerated(model, most, alpha)
    width = words ** (most - 1)
    texts = found(model, most=most, width=width, number=width, alpha=alpha)
    assert sequences(texts) == [(tokens, reason) for _, tokens, reason in every[:width]]
    for text, (score, _, _) in zip(texts, every, strict=False):
        assert text.score(model) == pytest.approx(score, abs=1e-12)


@given(model=tables(), most=st.integers(1, 5), width=st.integers(1, 6), alpha=ALPHAS)
def test_searches_that_end_early_find_what_those_to_the_end_find(model, most, width, alpha):
    whole = found(model, most=most, width=width, number=width, alpha=alpha, early=False)
    assert shown(found(model, most=most, width=width, number=width, alpha=alpha)) == shown(whole)
    for number in range(1, width):
        fewer = found(model, most=most, width=width, number=number, alpha=alpha)
        assert shown(fewer) == shown(whole)[:number]


def ended_by_definition(model, most, width, enough=math.inf):
    """The search again, in the plainest words: tokens, state and nats of texts that end, until there are enough."""
    live, ended = [((), model.start(), 0.0)], []
    for length in range(1, most + 1):
        ranked = sorted(
            ((*tokens, token), model.advance(state, token), nats + float(log))
            for tokens, state, nats in live
            for token, log in enumerate(model.next(state))
            if log > -math.inf
        )
        ranked.sort(key=lambda text: -text[2])
        over = [length == most or tokens[-1] == EOS for tokens, _, _ in ranked]
        ended += [text for text, end in list(zip(ranked, over, strict=True))[:width] if end]
        live = [text for text, end in zip(ranked, over, strict=True) if not end][:width]
        if len(ended) >= enough:
            break
    return ended


@given(model=tables(), most=st.integers(1, 6), width=st.integers(1, 5), alpha=ALPHAS)
def test_each_step_keeps_what_the_definition_says(model, most, width, alpha):
    ended = ended_by_definition(model, most, width)
    best = sorted(ended, key=lambda text: (-text[2] / len(text[0]) ** alpha, text[0]))[:width]
    texts = found(model, most=most, width=width, number=width, alpha=alpha)
    assert [tokens for tokens, _ in sequences(texts)] == [tokens for tokens, _, _ in best]


@given(model=tables(), most=st.integers(1, 6), width=st.integers(1, 5), alpha=ALPHAS, patience=st.sampled_from([1, 2]))
def test_patience_ends_a_search_when_so_many_have_ended(model, most, width, alpha, patience):
    """Kasai et al. (2022): what is found is the best of those that had ended by then."""
    ended = ended_by_definition(model, most, width, patience * width)
    best = min(ended, key=lambda text: (-text[2] / len(text[0]) ** alpha, text[0]))
    (text,) = found(model, most=most, width=width, alpha=alpha, patience=patience)
    assert sequences([text])[0][0] == best[0]


def test_early_ends_are_early():
    """A text that is surely the best after a step ends the search there."""
    steps = []

    class Counting(Table):
        def next(self, state):
            steps.append(state)
            return super().next(state)

    model = Counting(4, 0, lambda: [0.9, 0.1])
    (text,) = found(model, most=1000, width=2)
    assert (text.finish_reason, text.ids) == ("eos", [])
    assert len(steps) < 10


def by_hand(size, rows):
    """A model by the last token: for each the probabilities of tokens from the end's on."""
    model = Table(size, 1, lambda: [1.0, *[0.0] * (size - 3)])
    for token, weights in rows.items():
        with np.errstate(divide="ignore"):
            model._known[token,] = np.log(np.array([0.0, 0.0, *weights]))
    return model


def test_short_texts_may_still_win_where_length_costs():
    model = by_hand(4, {BOS: [0.3, 0.7], 3: [0.9, 0.1]})
    (text,) = found(model, most=10, width=2, alpha=-0.7)
    assert text.ids == [3]


def test_long_texts_may_still_win_where_length_pays():
    model = by_hand(5, {BOS: [0.6, 0.3, 0.1], 3: [0.0, 1.0, 0.0], 4: [1.0, 0.0, 0.0]})
    (text,) = found(model, most=10, width=2, alpha=1.0)
    assert text.ids == [3] * 10


def test_equal_texts_are_waited_for():
    """Though greedy search is after another text."""
    quarter = [0.0, 0.25, 0.25, 0.25, 0.25]
    rows = {BOS: [0.0, 0.25, 0.25, 0.5, 0.0], 3: [0.0, 0.0, 0.0, 0.0, 1.0], 4: [1.0, 0.0, 0.0, 0.0, 0.0], 5: quarter}
    texts = found(by_hand(7, rows), most=9, width=3, number=2)
    assert [text.ids for text in texts] == [[3, 6], [4]]
    assert shown(found(by_hand(7, rows), most=9, width=3)) == shown(texts)[:1]


def test_equal_continuations_go_by_their_beginnings():
    rows = {BOS: [0.0, 0.25, 0.5, 0.25], 3: [0.0, 0.5, 0.5, 0.0], 4: [0.25, 0.25, 0.25, 0.25]}
    texts = found(by_hand(6, rows), most=2, width=2, number=2)
    assert [text.ids for text in texts] == [[3, 3], [3, 4]]


# Rounding.


@given(
    model=tables(4), most=st.integers(1, 7), width=st.integers(1, 6), alpha=ALPHAS, seed=st.integers(0, 99),
    tolerance=st.sampled_from([1e-9, 1e-4, 1e-2, 0.2]), groups=st.integers(1, 3), keep=st.booleans(),
)  # fmt: skip
def test_rows_that_round_find_the_same(model, most, width, alpha, seed, tolerance, groups, keep):
    options = {"most": most, "width": width * groups, "number": width * groups, "alpha": alpha, "groups": groups,
               "diversity": 0.5, "keep_greedy": keep}  # fmt: skip
    exact = found(model, **options)
    noisy = found(Noisy(model, tolerance, seed), **options)
    assert shown(noisy) == shown(exact)
    assert (noisy[0].greedy is None) == (exact[0].greedy is None)


@given(model=tables(4), most=st.integers(1, 6), width=st.integers(1, 4), seed=st.integers(0, 99))
def test_stops_under_rounding(model, most, width, seed):
    options = {"most": most, "width": width, "number": width, "stops": [b"ab", b"bb", b"c"]}
    assert shown(found(Noisy(model, 0.01, seed), **options)) == shown(found(model, **options))


# Greedy.


@given(model=tables(), most=st.integers(1, 8))
def test_a_beam_of_one_is_greedy(model, most):
    assert shown(found(model, most=most, width=1)) == shown(greedy(model, most))


@given(model=tables(), most=st.integers(1, 6), width=st.integers(2, 5), alpha=ALPHAS)
def test_greedy_kept_is_never_worse(model, most, width, alpha):
    (first,) = greedy(model, most)
    by_greedy = first.nats(model) / (len(first.ids) + len(first.closing)) ** alpha
    kept = found(model, most=most, width=width, alpha=alpha, keep_greedy=True)
    assert kept[0].score(model) >= by_greedy - 1e-12
    plain = found(model, most=most, width=width, alpha=alpha)
    worse = plain[0].score(model) < by_greedy - 1e-12
    if worse:
        assert shown(kept) == shown([first])
        assert shown([plain[0].greedy]) == shown([first])
    else:
        assert plain[0].greedy is None or plain[0].greedy.score(model) == pytest.approx(
            plain[0].score(model), abs=1e-12
        )


# Stops, tokens that never come, penalties.


@given(model=tables(4), most=st.integers(1, 6), width=st.integers(1, 4))
def test_stops_end_texts(model, most, width):
    texts = found(model, most=most, width=width, number=width, stops=[b"ba", b"cc"])
    for text in texts:
        spelled = model.tokenizer.decode(text.ids)
        ends = [spelled.find(stop) for stop in (b"ba", b"cc") if stop in spelled]
        assert (text.finish_reason == "stop") == bool(ends)
        assert text.text == (spelled[: min(ends)] if ends else spelled)
        assert not ends or (b"ba" not in spelled[:-1] and b"cc" not in spelled[:-1])
    if width == 1:
        assert shown(texts) == shown(greedy(model, most, [b"ba", b"cc"]))


def test_stops_may_end_all_that_is_probable():
    model = Table(9, 0, lambda: [0.01, 0.3, 0.2, 0.2, 0.1, 0.1, 0.09])
    texts = found(model, most=3, width=2, number=2, stops=[b"a", b"b", b"c", b"d"])
    assert [(text.text, text.finish_reason) for text in texts] == [(b"", "stop"), (b"", "stop")]
    assert [text.ids for text in texts] == [[3], [4]]


def test_tokens_that_never_come():
    model = Table(5, 1, lambda: [0.2, 0.5, 0.3])
    assert all(3 not in text.ids for text in found(model, most=4, width=6, number=6, never=[3]))


def test_nothing_that_could_follow():
    model = Table(4, 0, lambda: [0.0, 1.0])
    with pytest.raises(DataError, match="no token"):
        found(model, most=3, width=2, never=[3])


def no_repeats(logs, places):
    for row, place in enumerate(places):
        logs[row, list(place.ids)] = -np.inf
    return logs


def liking(logs, places):
    for row, place in enumerate(places):
        logs[row, list(place.ids)] += 1.0
    return logs


@given(model=tables(4), most=st.integers(1, 4), width=st.integers(1, 3))
def test_penalties_are_heeded(model, most, width):
    plain = shown(found(model, most=most, width=width, number=width))
    assert shown(found(model, most=most, width=width, number=width, penalties=[lambda logs, _: logs])) == plain
    with suppress(DataError):  # where nothing else may follow
        apart = found(model, most=min(most, 2), width=width, number=width, penalties=[no_repeats])
        assert all(len(set(text.ids)) == len(text.ids) for text in apart)
    liked = found(model, most=most, width=width, number=width, penalties=[liking])
    whole = found(model, most=most, width=width, number=width, penalties=[liking], early=False)
    assert shown(liked) == shown(whole)
    assert all(text.searched <= 1e-9 for text in liked)


# Groups.


@given(model=tables(4), most=st.integers(1, 5), width=st.integers(1, 3), groups=st.integers(2, 3))
def test_groups_without_strength_are_all_the_same_beam(model, most, width, groups):
    apart = found(model, most=most, width=width * groups, number=width, groups=groups)
    assert shown(apart) == shown(found(model, most=most, width=width, number=width))


@given(model=tables(4), most=st.integers(1, 4), strength=st.sampled_from([0.1, 0.7, 3.0]))
def test_groups_by_the_definition(model, most, strength):
    """Groups of one text each, in the plainest words."""
    groups = 3
    live = [((), model.start(), 0.0)] * groups
    ended = [[] for _ in live]
    for length in range(1, most + 1):
        taken = []
        for number, text in enumerate(live):
            if text is None:
                continue
            tokens, state, nats = text
            made = [
                (-(nats + float(log) - strength * taken.count(token)), token, nats + float(log))
                for token, log in enumerate(model.next(state))
                if log > -math.inf
            ]
            made.sort()
            going = [item for item in made if item[1] != EOS and length < most][:1]
            over = [item for item in made[:1] if item[1] == EOS or length == most]
            ended[number] += [(total, (*tokens, token)) for _, token, total in over]
            live[number] = None
            for _, token, total in going:
                live[number] = ((*tokens, token), model.advance(state, token), total)
            taken += [item[1] for item in {*going, *over}]
    best = {min((-total, tokens) for total, tokens in texts) for texts in ended if texts}
    texts = found(model, most=most, width=groups, number=groups, groups=groups, diversity=strength)
    assert [tokens for tokens, _ in sequences(texts)] == [tokens for _, tokens in sorted(best)]


def test_groups_differ():
    model = Table(7, 0, lambda: [0.0001, 0.5, 0.2, 0.15, 0.1])
    texts = found(model, most=3, width=3, number=3, groups=3, diversity=9.0)
    assert [text.text for text in texts] == [b"aaa", b"bbb", b"ccc"]


@pytest.mark.parametrize("beams", [{"width": 2, "number": 3}, {"width": 4, "groups": 3}])
def test_beams_that_make_no_sense(beams):
    with pytest.raises(UsageError):
        Beams(**beams)


def test_beams_too_wide():
    with pytest.raises(UsageError, match="too wide"):
        BeamSearch(Table(5, 0, lambda: [1, 1, 1]), Beams(1 << 26), most=2)


# What a step kept.


def test_the_trace_of_a_search():
    model = Table(6, 1, lambda: [0.1, 0.4, 0.3, 0.2])
    (text,) = found(model, most=2, width=2, explain=True)
    assert [[(kept.tokens, kept.reason) for kept in step] for step in text.trace] == [
        [([3], ""), ([4], "")],
        [([3, 3], "length"), ([3, 4], "length")],
    ]
    assert text.trace[1][0].nats == pytest.approx(math.log(0.16))


# Every kind of model.


@pytest.mark.few(15)
def test_every_model(model, model_name):
    plain = found(model, most=6, width=3, number=3)
    assert shown(plain) == shown(found(model, most=6, width=3, number=3, early=False))
    assert shown(found(model, most=6, width=1)) == shown(greedy(model, 6))
    totals = [text.nats(model) for text in plain]
    assert totals == sorted(totals, reverse=True) or supports_batching(model)
    assert shown(found(Noisy(model, 1e-3, 0), most=6, width=3, number=3)) == shown(plain)
