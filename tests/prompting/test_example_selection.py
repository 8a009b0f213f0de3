"""Which examples are chosen: never the item, each once, as many as asked for."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounding import assert_close

from lmkit.data.normal_form import normal_form
from lmkit.errors import DataError
from lmkit.prompting import example_selection, example_similarity
from lmkit.prompting.examples import Example, Pool, labels_of, same_item

TEXTS = st.text(st.sampled_from("aAbﬁ ß\t"), max_size=4)
NAMES = st.none() | st.sampled_from([1, 2, "1", "x", 2.0])
ONE = st.builds(Example, TEXTS, st.sampled_from("pqr"), NAMES)
MANY = st.lists(ONE, max_size=9).map(
    lambda found: [Example(one.input, one.output, one.id, number) for number, one in enumerate(found, 1)]
)
SELECTORS = {
    "first": lambda examples, seed: example_selection.InOrder(examples),
    "shuffled": example_selection.shuffled,
    "random": lambda examples, seed: example_selection.Random(examples, example_selection.Draws(seed)),
    "random-per-item": lambda examples, seed: example_selection.Random(
        examples, example_selection.Draws(seed, per_item=True)
    ),
    "balanced": lambda examples, seed: example_selection.Balanced(examples, example_selection.Draws(seed)),
    "balanced-per-item": lambda examples, seed: example_selection.Balanced(
        examples, example_selection.Draws(seed, per_item=True)
    ),
    "words": lambda examples, seed: example_similarity.Similar(examples, example_similarity.BM25(examples)),
    "vectors": lambda examples, seed: example_similarity.Similar(
        examples, example_similarity.Cosines(examples, letters)
    ),
}


def letters(text):
    """A vector of a text; none for one without letters."""
    vector = np.array([text.casefold().count(letter) for letter in "abs"], dtype=np.float64)
    return vector if vector.any() else None


@pytest.mark.parametrize("way", SELECTORS)
@given(examples=MANY, item=ONE, count=st.integers(0, 10), seed=st.integers(0, 3))
def test_the_item_is_never_among_its_own_examples(way, examples, item, count, seed):
    selector = SELECTORS[way](examples, seed)
    others = [one.number for one in examples if not same_item(one, item)]
    if count > len(others):
        with pytest.raises(DataError, match=f"expected {count}, got {len(others)} "):
            selector.select(item, count)
        return
    chosen = [one.number for one in selector.select(item, count)]
    assert len(chosen) == len(set(chosen)) == count
    assert set(chosen) <= set(others)
    assert chosen == [one.number for one in selector.select(item, len(others))][:count]


@given(examples=MANY, item=ONE)
def test_a_pool_finds_those_that_an_item_is(examples, item):
    pool = Pool(examples)
    assert pool.same(item) == {place for place, one in enumerate(examples) if same_item(one, item)}
    apart = Pool(examples, apart=True)
    assert apart.repeated + len(apart) == len(examples)
    for place, one in enumerate(apart.examples):
        assert apart.same(one) == {place}


@given(st.text(max_size=8))
def test_normal_form(text):
    form = normal_form(text)
    assert normal_form(f" {text}\t") == form
    assert normal_form(text.replace("a", "A")) == form


def test_what_is_one_item():
    one = Example("\uff28ola  Straße", id=7)
    assert same_item(one, Example("hola STRASSE\n", id=8))
    assert same_item(one, Example("adiós", id="7"))
    assert same_item(one, Example("adiós", id=7.0))
    assert not same_item(one, Example("hola strase", id=8))
    assert not same_item(Example("a", number=1), Example("b", number=1))


def test_draws_take_every_order_alike():
    orders = Counter(tuple(example_selection.drawn(seed, "key", 3)) for seed in range(6000))
    assert len(orders) == 6
    statistic = sum((count - 1000) ** 2 / 1000 for count in orders.values())
    assert statistic < 25  # chi-square of 5 degrees, p = 1e-4
    assert sorted(example_selection.drawn(3, "key", 500)) == list(range(500))


def examples_of(labels):
    return [Example(f"text {number}", label, number=number) for number, label in enumerate(labels, 1)]


def test_one_draw_serves_all_items_and_one_each_hangs_on_the_id():
    examples = examples_of("p" * 30)
    shared, each = example_selection.Draws(5), example_selection.Draws(5, per_item=True)
    items = [Example(f"item {number}", id=number) for number in range(20)]
    for make in (example_selection.Random, example_selection.Balanced):
        together, apart = make(examples, shared), make(examples, each)
        assert len({tuple(one.number for one in together.select(item, 4)) for item in items}) == 1
        chosen = {item.id: apart.select(item, 4) for item in items}
        assert len({tuple(one.number for one in found) for found in chosen.values()}) > 15
        renumbered = [Example("other text", id=str(item.id), number=99) for item in reversed(items)]
        assert {int(item.id): make(examples, each).select(item, 4) for item in renumbered} == chosen
    assert example_selection.Random(examples, shared).select(items[0], 9) == example_selection.shuffled(
        examples, 5
    ).select(items[0], 9)
    assert example_selection.shuffled(examples, 6).select(items[0], 9) != example_selection.shuffled(
        examples, 5
    ).select(items[0], 9)


@given(
    labels=st.text(st.sampled_from("pqr"), min_size=1, max_size=20),
    seed=st.integers(0, 9),
    per_item=st.booleans(),
    own=st.integers(0, 25),
)
def test_balanced_takes_each_label_in_turn(labels, seed, per_item, own):
    examples = examples_of(labels)
    item = examples[own] if own < len(examples) else Example("new", id="new")
    others = [one for one in examples if one is not item]
    selector = example_selection.Balanced(examples, example_selection.Draws(seed, per_item=per_item))
    there = Counter(one.output for one in others)
    for count in range(len(others) + 1):
        shown = Counter(one.output for one in selector.select(item, count))
        for label in there:
            assert all(shown[label] >= shown[other] - 1 or shown[label] == there[label] for other in there)


def test_names_are_ids_or_numbers():
    examples = [Example("a", id="x", number=1), Example("b", number=2), Example("c", id=2, number=3)]
    assert [one.input for one in example_selection.named(examples, ["x", "2"])] == ["a", "c"]
    assert [one.input for one in example_selection.named(examples, ["3", "1"])] == ["c", "a"]
    with pytest.raises(DataError, match="no example with the id 'y', '9'"):
        example_selection.named(examples, ["x", "y", "9"])
    with pytest.raises(DataError, match="repeated in --ids"):
        example_selection.named(examples, ["x", "1"])


def test_arrangements():
    shots = examples_of("pqr")
    item = Example("item", id=1)
    assert example_selection.as_selected(shots, item) == shots
    assert example_selection.last_first(shots, item) == shots[::-1]
    orders = set()
    for seed in range(60):
        arranged = example_selection.at_random(example_selection.Draws(seed))(shots, item)
        orders.add("".join(one.output for one in arranged))
    assert len(orders) == 6


def bm25(texts, query):
    """Okapi BM25 with k1 = 1.2, b = 0.75 as the formula has it."""
    documents = [re.findall(r"\w+", text.casefold()) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for word in re.findall(r"\w+", query.casefold()):
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            count = document.count(word)
            score += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(document) / mean))
        scores.append(score)
    return scores


WORDS = st.lists(st.sampled_from(["el", "La", "mar,", "azul", "mar"]), max_size=6).map(" ".join)


@given(texts=st.lists(WORDS, min_size=1, max_size=8).filter(any), query=WORDS)
def test_words_are_weighed_by_bm25(texts, query):
    examples = [Example(text, "p", number=number) for number, text in enumerate(texts, 1)]
    found = example_similarity.BM25(examples)(Example(query))
    assert found.tolist() == pytest.approx(bm25(texts, query), rel=1e-12)


@given(texts=st.lists(WORDS, min_size=1, max_size=12), queries=st.lists(WORDS, max_size=4), count=st.integers(1, 14))
def test_compiled_code_finds_the_same_examples_whatever_came_before(texts, queries, count):
    examples = [Example(text, "p", number=number) for number, text in enumerate(texts, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_similarity, "MANY", 1)
        ranking = example_similarity.BM25(examples)
        for query in queries:
            expected = example_similarity.highest(ranking(Example(query)), count)
            assert ranking.highest(Example(query), count) == expected


@pytest.mark.parametrize("count", [1, 4, 99, 100, 101, 500])
def test_compiled_code_and_numpy_agree_on_the_bits_of_many_scores(count, monkeypatch):
    draw = np.random.default_rng(7)
    texts = [" ".join(f"w{word}" for word in draw.zipf(1.4, 12) % 400) for _ in range(700)]
    examples = [Example(text, "p", number=number) for number, text in enumerate(texts[:300], 1)]
    monkeypatch.setattr(example_similarity, "MANY", 100)  # the first in numpy, then compiled
    ranking = example_similarity.BM25(examples)
    for text in texts[200:]:
        expected = example_similarity.highest(ranking(Example(text)), count)
        assert ranking.highest(Example(text), count) == expected


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), max_size=12), st.integers(1, 14))
def test_the_highest_come_first_and_of_equals_the_earlier(scores, count):
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert example_similarity.highest(np.array(scores), count) == order[:count]


def test_vectors_are_compared_by_angle():
    examples = [Example(text, "p", number=number) for number, text in enumerate(["b", "aab", "?", "abb", "aaaaab"], 1)]
    cosines = example_similarity.Cosines(examples, letters)
    expected = [0, 2 / math.sqrt(5), 0, 1 / math.sqrt(5), 5 / math.sqrt(26)]
    assert_close(cosines(Example("a")), expected)
    chosen = example_similarity.Similar(examples, cosines).select(Example("aa"), 4)
    assert [one.input for one in chosen] == ["aaaaab", "aab", "abb", "b"]
    assert cosines(Example("!")).tolist() == [0] * 5
    assert example_similarity.Cosines(examples[2:3], letters)(Example("a")).tolist() == [0]


def test_labels_come_in_order_of_first_appearance():
    assert labels_of([*examples_of("qpqr"), Example("none")]) == ["q", "p", "r"]
