"""Search over thoughts, against enumeration."""

import itertools

import numpy as np
import pytest
from bigrams import bigram, tokenizer_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.generation import prompt_encoding
from lmkit.generation.beam_search import Beams, BeamSearch
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Chain
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import SequentialStepper
from lmkit.prompting.tree_of_thoughts import TreeSearcher

NONE = np.zeros(0, dtype=np.int32)


def model_of(seed):
    """Random bigrams of three words, each line by itself."""
    return bigram(tokenizer_of("word", "abc"), "line", seed)


def never(model):
    return prompt_encoding.never(model, unknown=False)


def searched(model, *, breadth, branch, depth, most=1, stops=(), alpha=0.0):
    beams = BeamSearch(model, Beams(branch, branch, alpha), most=most, stops=stops, never=never(model))
    return TreeSearcher(model, beams, (), 0, 1, breadth, depth, alpha).levels(NONE, "")


def nats_of(model, ids):
    before = [model.form.start, *ids[:-1]]
    return float(sum(model.table[one, other] for one, other in zip(before, ids, strict=True)))


def enumerated(model, most, alpha):
    """All texts of up to so many tokens, ended or cut, best first."""
    end = prompt_encoding.ends_of(model.form)[0]
    words = [token for token in range(model.tokenizer.size) if token not in {end, *never(model)}]
    found = [
        (*text, *closing)
        for length in range(most + 1)
        for text in itertools.product(words, repeat=length)
        for closing in ([(end,)] if length < most else [()])
    ]
    return sorted(found, key=lambda ids: -nats_of(model, ids) / len(ids) ** alpha)


@settings(max_examples=30)
@given(st.integers(0, 200), st.integers(1, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_breadth_that_holds_all_finds_the_best(seed, depth, alpha):
    model = model_of(seed)
    found = searched(model, breadth=1000, branch=4, depth=depth, alpha=alpha)[-1]
    expected = enumerated(model, depth, alpha)
    assert found[0].ids == expected[0]
    assert sorted(path.ids for path in found) == sorted(expected)
    assert found[0].nats == pytest.approx(nats_of(model, expected[0]), abs=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 200), st.integers(1, 3), st.integers(1, 2))
def test_thoughts_of_several_tokens_make_the_same_texts(seed, depth, most):
    model = model_of(seed)
    found = searched(model, breadth=1000, branch=100, depth=depth, most=most)[-1]
    best = enumerated(model, depth * most, 0.0)[0]
    assert found[0].nats == pytest.approx(nats_of(model, best), abs=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 200), st.integers(1, 5))
def test_one_path_is_greedy(seed, depth):
    model = model_of(seed)
    path = searched(model, breadth=1, branch=1, depth=depth, most=2)[-1][0]
    chooser = Sampler(Chain([]), never=never(model), greedy=True)
    requests = [Request(0, NONE, model.start)]
    events = Generator(model, SequentialStepper(model, chooser), most=2 * depth).run(requests)
    greedy = next(completions(events))
    assert path.ids == (*greedy.ids, *greedy.closing)


def test_a_wider_search_is_better_where_greedy_is_led_astray():
    model = model_of(0)
    start, (a, b, c) = model.form.start, (model.tokenizer.encode(word)[0] for word in (b"a", b"b", b"c"))
    end = prompt_encoding.ends_of(model.form)[0]
    model.table[:] = -50.0
    model.table[start, [a, b]] = np.log([0.6, 0.4])
    model.table[a, [a, b, c]] = np.log(1 / 3)
    model.table[b, c] = model.table[c, end] = 0.0
    narrow = searched(model, breadth=1, branch=1, depth=3)[-1][0]
    wide = searched(model, breadth=2, branch=2, depth=3)
    assert narrow.ids[0] == a
    assert wide[-1][0].ids == (b, c, end)
    assert wide[-1][0].nats == pytest.approx(np.log(0.4))
    assert [len(level) for level in wide[:-1]] == [2, 2]


def test_a_thought_ends_at_its_stop():
    model = model_of(3)
    end, c = prompt_encoding.ends_of(model.form)[0], model.tokenizer.encode(b"c")[0]
    for path in searched(model, breadth=50, branch=20, depth=2, most=3, stops=[b"c"])[-1]:
        assert path.ids.count(c) <= 2
        assert all(b"c" not in thought for thought in path.thoughts)
        assert (path.finish_reason == "eos") == (path.ids[-1] == end)
