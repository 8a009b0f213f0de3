"""Speculation: the same texts with drafts as without, whatever the draft and however often it is right."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from bigrams import BigramModel, bigram, tokenizer_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import random_weights

from lmkit.data.keyed_random import stream_of, uniforms
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError
from lmkit.generation import draft_models, gumbel_noise, prompt_encoding
from lmkit.generation.batching import StateRows
from lmkit.generation.draft_models import Lookup, ModelDraft, Proposal
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Position, Sampler
from lmkit.generation.speculative_decoding import DraftLengthController, Speculation, cost_of_pass
from lmkit.generation.steppers import SequentialStepper
from lmkit.inference.transformer import TransformerModel

LETTERS = tokenizer_of("char", "abcdefgh")
GREEDY = {"greedy": True}
WAYS = [GREEDY, {}, {"temperature": 0.7}, {"top_k": 3}, {"top_p": 0.8, "temperature": 1.3}, {"top_k": 1}]


def free(_tokens):
    """A pass costs the same however many tokens it looks at, so that all that are proposed are."""
    return 1.0


class Coarse(BigramModel):
    """A model that is wrong by up to `tolerance` where it does several steps at once, as far as it can be."""

    tolerance = 0.2

    def rows(self, states):
        return StateRows(self, states)

    def follow(self, state, ids):
        return list(ids)

    def next_many(self, states):
        logs = self.table[np.array(states)]
        return logs + self.tolerance * np.where(np.arange(logs.shape[1]) % 2, 1, -1) * (-1) ** len(states)


class Counting(TransformerModel):
    """Counts the passes."""

    passes = 0

    def follow(self, state, ids):
        self.passes += 1
        return super().follow(state, ids)


def chooser_of(model, way, penalties=()):
    way = dict(way)
    greedy = way.pop("greedy", False)
    never = prompt_encoding.never(model, unknown=False)
    return Sampler(Filtering(**way).chain(), never=never, greedy=greedy, penalties=penalties)


def generated(model, stepper, *, prompt=(), samples=2, most=30, stops=(), seed=0):
    ids = np.array(prompt, dtype=np.int32)
    requests = [
        Request(stream_of(seed, "0", number), ids, partial(prompt_encoding.state_after, model, ids))
        for number in range(samples)
    ]
    found = Generator(model, stepper, most=most, stops=stops).run(requests)
    return [(done.ids, done.text, done.finish_reason) for done in completions(found)]


def with_and_without(model, begins, chooser, **how):
    speculation = Speculation(model, chooser, begins, most=how.pop("proposed", 5), cost=free)
    alone = generated(model, SequentialStepper(model, chooser), **how)
    assert generated(model, speculation, **how) == alone
    assert 0 <= speculation.tally.accepted <= speculation.tally.proposed
    return alone, speculation.tally


def drafting(model, chooser, target):
    return lambda place: ModelDraft(model, chooser, target.form.newline_id, place)


def looking(longest):
    return lambda place: Lookup(place, longest)


def transformer(seed=0, *, by="stream", context=8, **more):
    sizes = {"layers": 2, "width": 12, "heads": 2, "kv_heads": 1, "head_width": 6, "hidden": 16}
    return random_weights("transformer", LETTERS, by=by, seed=seed, context=context, **sizes, **more)


# The same texts.


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["line", "stream", "file"])
def test_any_draft_leaves_the_text_as_it_is(way, by):
    model, draft = bigram(LETTERS, by), bigram(LETTERS, "line", seed=1)
    chooser = chooser_of(model, way)
    for begins in ([drafting(model, chooser, model)], [drafting(draft, chooser, model)], [looking(3)]):
        with_and_without(model, begins, chooser, prompt=[5, 6, 5, 6])
    with_and_without(model, [looking(2), drafting(draft, chooser, model)], chooser, prompt=[3, 2, 4])


@pytest.mark.few(3)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["line", "stream"])
def test_a_transformer_goes_on_as_alone_past_its_context(way, by):
    model = TransformerModel(transformer(by=by))
    chooser = chooser_of(model, way)
    for draft in (model, TransformerModel(transformer(1, by="stream", context=5)), bigram(LETTERS, by)):
        _, tally = with_and_without(
            model, [drafting(draft, chooser, model)], chooser, prompt=[5, 6, 7, 5, 6], most=20, proposed=11
        )
        assert draft is not model or tally.accepted > 0
    with_and_without(model, [looking(3)], chooser, prompt=[5, 6, 7, 5, 6], most=20, proposed=11)


PROBABILITIES = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.25, 0.5, 1.0])


@settings(max_examples=60)
@given(
    tables=st.lists(st.lists(PROBABILITIES, min_size=36, max_size=36), min_size=2, max_size=2),
    way=st.sampled_from(WAYS),
    seed=st.integers(0, 1 << 40),
    proposed=st.integers(1, 9),
    coarse=st.booleans(),
)
def test_random_tables_with_zeros_and_ties(tables, way, seed, proposed, coarse):
    tokenizer = tokenizer_of("char", "abc")
    models = []
    for weights, kind in zip(tables, (Coarse if coarse else BigramModel, BigramModel), strict=True):
        table = np.array(weights).reshape(6, 6)
        table[:, 3] += 0.01  # something may always follow
        with np.errstate(divide="ignore"):
            models.append(kind(tokenizer, TextFormat.of("line", tokenizer), np.log(table / table.sum(1)[:, None])))
    model, draft = models
    chooser = chooser_of(model, way)
    begins = [drafting(draft, chooser, model), looking(2)]
    with_and_without(model, begins, chooser, seed=seed, proposed=proposed, most=12)


def test_where_rounding_could_decide_the_text_is_run_alone():
    tokenizer = tokenizer_of("char", "abcdefgh")
    table = np.random.default_rng(0).normal(size=(11, 11), scale=0.1)
    table -= np.log(np.exp(table).sum(axis=1, keepdims=True))
    model = Coarse(tokenizer, TextFormat.of("line", tokenizer), table)
    for way in WAYS:
        chooser = chooser_of(model, way)
        _, tally = with_and_without(model, [drafting(model, chooser, model)], chooser, samples=5)
        assert tally.alone > 0
        assert tally.accepted > 0


def test_penalties_see_the_proposals_before_a_place():
    def repeated(logs, places):
        for row, place in enumerate(places):
            for token in set(place.ids):
                logs[row, token] -= 3 * list(place.ids).count(token)
        return logs

    repeated.growth = 1.0
    model = bigram(LETTERS, "stream")
    chooser = chooser_of(model, {}, [repeated])
    _, tally = with_and_without(model, [drafting(model, chooser, model)], chooser)
    assert tally.accepted == tally.proposed > 0


@pytest.mark.parametrize("most", range(1, 12))
def test_a_run_of_right_proposals_is_cut_at_the_longest_length(most):
    model = bigram(LETTERS, "stream")
    chooser = chooser_of(model, GREEDY)
    alone, _ = with_and_without(model, [drafting(model, chooser, model)], chooser, most=most)
    assert [(len(ids), reason) for ids, _, reason in alone] == [(most, "length")] * 2


def test_stops_and_ends_within_a_run():
    model = bigram(LETTERS, "line", seed=3)
    chooser = chooser_of(model, {})
    (_, text, _), *_ = generated(model, SequentialStepper(model, chooser), samples=1)
    assert len(text) > 4
    for place in range(len(text) - 1):
        with_and_without(model, [drafting(model, chooser, model)], chooser, stops=[text[place : place + 2]])
    alone, tally = with_and_without(model, [drafting(model, chooser, model)], chooser, samples=20)
    assert {reason for _, _, reason in alone} == {"eos"}
    assert tally.accepted > 20


# The same distribution.


def test_frequencies_are_the_models():
    tokenizer = tokenizer_of("char", "ab")
    rng = np.random.default_rng(5)
    tables = [rng.dirichlet(np.ones(5), size=5) for _ in range(2)]
    model, draft = (BigramModel(tokenizer, TextFormat.of("line", tokenizer), np.log(table)) for table in tables)
    chooser = chooser_of(model, {})
    draws, most = 2000, 2
    stepper = Speculation(model, chooser, [drafting(draft, chooser, model)], most=3, cost=free)
    found = Counter(tuple(ids) for ids, _, _ in generated(model, stepper, samples=draws, most=most))
    assert 0.1 < stepper.tally.accepted / stepper.tally.proposed < 0.9
    table = tables[0].copy()
    table[:, prompt_encoding.never(model, unknown=False)] = 0
    table /= table.sum(axis=1, keepdims=True)
    start, end = model.form.start, prompt_encoding.ends_of(model.form)[0]
    expected = {(): table[start, end]}
    for one in range(5):
        if one != end:
            expected[one,] = table[start, one] * table[one, end]
            expected |= {(one, two): table[start, one] * table[one, two] for two in range(5) if two != end}
    expected = {ids: p for ids, p in expected.items() if p}
    assert sum(expected.values()) == pytest.approx(1)
    assert set(found) <= set(expected)
    statistic = sum((found[ids] - draws * p) ** 2 / (draws * p) for ids, p in expected.items())
    assert len(expected) == 7
    assert statistic < 22.46  # the 0.1 % point of chi-square with 6 degrees of freedom


def test_agreement_is_at_least_what_the_race_promises():
    rng = np.random.default_rng(0)
    for _ in range(3):
        p, q = rng.dirichlet(np.ones(6), size=2)
        numbers = uniforms(range(20000), [0] * 20000, np.arange(6))
        same = np.mean(
            gumbel_noise.race(np.log(p)[None].repeat(20000, 0), numbers)[0]
            == gumbel_noise.race(np.log(q)[None].repeat(20000, 0), numbers)[0]
        )
        distance = abs(p - q).sum() / 2
        assert (1 - distance) / (1 + distance) - 0.012 < same < 1 - distance + 0.012


# What is saved.


def test_right_proposals_save_passes():
    model = Counting(transformer(context=64))
    chooser = chooser_of(model, {})
    _, tally = with_and_without(model, [drafting(model, chooser, model)], chooser, samples=1, most=41, proposed=9)
    assert model.passes == tally.passes < 10
    assert 1 + tally.passes + tally.accepted >= 41
    assert tally.accepted == tally.proposed


def test_rejected_proposals_copy_nothing(monkeypatch):
    from lmkit.inference.kv_cache import Cache

    model = TransformerModel(transformer(context=64))
    chooser = chooser_of(model, {})
    copies = []
    branch = Cache._branch
    monkeypatch.setattr(Cache, "_branch", lambda cache, length: copies.append(length) or branch(cache, length))
    draft = bigram(LETTERS, "stream", seed=4)
    stepper = Speculation(model, chooser, [drafting(draft, chooser, model)], most=5, cost=free)
    generated(model, stepper, prompt=[5, 6], samples=1)
    assert stepper.tally.accepted < stepper.tally.proposed
    assert len(copies) <= 1  # the state of the prompt stays


# Drafts.


def some(draft, count):
    proposals = draft.propose()
    return [proposal.token for _, proposal in zip(range(count), proposals, strict=False)]


def test_lookup_finds_the_longest_run_and_its_last_place():
    place = Position(0, np.array([1, 2, 3, 9, 2, 3, 8, 7, 2], dtype=np.int32), [])
    draft = Lookup(place, 3)
    assert some(draft, 3) == [3, 8, 7]
    draft.follow([3])
    assert some(draft, 2) == [8, 7]
    draft.follow([9])
    assert some(draft, 9) == [2, 3, 8, 7, 2, 3, 9, 2, 3]  # behind 2 3 9, and on over the end
    draft.follow([5])
    assert some(draft, 2) == []
    one = Lookup(place._replace(ids=[3, 9]), 1)
    assert some(one, 2) == [2, 3]


def test_lookup_of_a_text_that_repeats_one_token():
    assert some(Lookup(Position(0, np.array([4, 4], dtype=np.int32), []), 3), 4) == [4, 4, 4, 4]
    assert some(Lookup(Position(0, np.array([4], dtype=np.int32), []), 3), 4) == []
    assert some(Lookup(Position(0, np.zeros(0, dtype=np.int32), []), 3), 4) == []


@given(ids=st.lists(st.integers(0, 3), max_size=40), longest=st.integers(1, 5), cut=st.integers(0, 40))
def test_lookup_against_its_definition(ids, longest, cut):
    draft = Lookup(Position(0, np.array(ids[:cut], dtype=np.int32), []), longest)
    draft.follow(ids[cut:])
    expected = None
    for length in range(1, longest + 1):
        run = ids[len(ids) - length :] if length <= len(ids) else None
        places = [end for end in range(length, len(ids)) if ids[end - length : end] == run]
        expected = places[-1] if places else expected
    found = some(draft, 6)
    if expected is None:
        assert found == []
    else:
        longer = list(ids)
        for step in range(6):
            longer.append(longer[expected + step])
        assert found == longer[len(ids) :]


def test_a_draft_goes_on_from_what_was_right():
    model = bigram(LETTERS, "line")
    chooser = chooser_of(model, {})
    place = Position(7, np.array([3, 4], dtype=np.int32), [])
    draft = ModelDraft(model, chooser, model.form.newline_id, place)
    first = some(draft, 4)
    for taken in (0, 2, 4):
        other = ModelDraft(model, chooser, model.form.newline_id, place)
        assert some(other, 4) == first
        tokens = [*first[:taken], 6]
        other.follow(tokens)
        fresh = ModelDraft(model, chooser, model.form.newline_id, place._replace(ids=tokens))
        assert some(other, 3) == some(fresh, 3)


def test_a_draft_of_lines_begins_afresh_behind_a_line_end():
    target, draft = bigram(LETTERS, "stream"), TransformerModel(transformer(by="line", context=30))
    chooser = chooser_of(target, {})
    end = target.form.newline_id
    fresh = some(ModelDraft(draft, chooser, end, Position(3, np.zeros(0, dtype=np.int32), [])), 1)
    for prompt, ids in (([5, 6, end], []), ([5], [end]), ([4, end, 3, end], [])):
        place = Position(3, np.array(prompt, dtype=np.int32), ids)
        one = ModelDraft(draft, chooser, end, place)
        state = draft.next(one._states[0])
        np.testing.assert_array_equal(state, draft.next(draft.start()))
    assert fresh


def test_a_draft_that_thinks_nothing_possible_proposes_nothing():
    tokenizer = tokenizer_of("char", "ab")
    table = np.full((5, 5), -np.inf)
    table[:, 0] = 0.0  # the unknown token alone
    draft = BigramModel(tokenizer, TextFormat.of("line", tokenizer), table)
    model = bigram(tokenizer, "line")
    chooser = chooser_of(model, {})
    _, tally = with_and_without(model, [drafting(draft, chooser, model)], chooser)
    assert tally.proposed == 0


def test_other_tokens_are_refused():
    draft_models.check_same_tokens(LETTERS, tokenizer_of("char", "abcdefgh"))
    with pytest.raises(CheckpointError, match="the model's 11 char tokens"):
        draft_models.check_same_tokens(LETTERS, tokenizer_of("char", "abcdefgi"))
    with pytest.raises(CheckpointError, match="word tokens"):
        draft_models.check_same_tokens(LETTERS, tokenizer_of("word", "abcdefgh"))


# How much is proposed.


def proposals(chance, token=1):
    while True:
        yield Proposal(token, chance, ("test", 0))


def test_pace_takes_what_is_worth_it():
    assert DraftLengthController(15, cost_of_pass).worth(proposals(0.05), ())[2] == 0
    assert DraftLengthController(15, cost_of_pass).worth(proposals(1.0), ())[2] == 15
    assert 0 < DraftLengthController(15, cost_of_pass).worth(proposals(0.8), ())[2] < 15
    value, found, taken = DraftLengthController(4, free).worth(proposals(0.5), ())
    assert (value, len(found), taken) == (1 + 0.5 + 0.25 + 0.125 + 0.0625, 4, 4)
    assert DraftLengthController(15, free).worth(proposals(1.0, token=9), (9,))[2] == 1  # nothing behind the end
    assert DraftLengthController(15, free).worth(iter(()), ()) == (1.0, [], 0)


def test_pace_learns():
    pace = DraftLengthController(15, cost_of_pass)
    some = [Proposal(1, 0.9, ("test", 0))] * 3
    for _ in range(30):
        pace.learn(some, [2, 1])
    assert pace.worth(proposals(0.9), ())[2] == 0
    for _ in range(100):
        pace.learn(some, [1, 1, 1])
    assert pace.worth(proposals(0.9), ())[2] > 5
