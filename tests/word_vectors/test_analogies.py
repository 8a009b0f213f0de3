"""Questions are answered as one answers them by looking at every word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors import analogies
from lmkit.word_vectors.analogies import Question, Section
from lmkit.word_vectors.vector_space import SMALLEST, VectorSpace


def space_of(words, vectors):
    width = len(vectors[0])
    rows = np.concatenate((np.zeros((len(NAMES), width)), vectors)).astype(np.float32)
    return VectorSpace(Vocabulary.of([*NAMES, *words]), rows)


def by_hand(words, vectors, question, *, limit, multiply, fold):
    """Whether a question is answered right; None where it can't be asked. A loop over words."""
    spell = (lambda word: word.decode().casefold()) if fold else (lambda word: word)
    rows = [(spell(word), np.array(v, dtype=np.float64)) for word, v in zip(words, vectors, strict=True)][:limit]
    rows = [(word, v / np.linalg.norm(v)) for word, v in rows if np.any(v)]
    first = {}
    for word, v in rows:
        first.setdefault(word, v)
    asked = [spell(word) for word in question]
    if any(word not in first for word in asked):
        return None
    a, b, c = (first[word] for word in asked[:3])

    def score(v):
        if not multiply:
            return v @ b - v @ a + v @ c
        near = [(1 + np.clip(v @ x, -1, 1)) / 2 for x in (a, b, c)]
        return near[1] * near[2] / (near[0] + SMALLEST)

    scored = [(score(v), word) for word, v in rows if word not in asked[:3]]
    if not scored:
        return False
    high = max(value for value, _ in scored)
    return next(word for value, word in scored if value >= high - 1e-12 * max(1, abs(high))) == asked[3]


WORDS = [b"a", b"A", b"b", b"c", b"C", b"d", b"e", b"f", b"F", b"\xc3\xb1", b"\xc3\x91"]


@given(
    vectors=st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=len(WORDS), max_size=len(WORDS)),
    asked=st.lists(st.lists(st.sampled_from([*WORDS, b"none"]), min_size=4, max_size=4), min_size=1, max_size=8),
    limit=st.sampled_from([None, 1, 5, 9]),
    multiply=st.booleans(),
    fold=st.booleans(),
)
def test_questions_are_answered_as_by_hand(vectors, asked, limit, multiply, fold):
    questions = [Question(*words) for words in asked]
    (tally,) = analogies.judge(
        space_of(WORDS, vectors), [Section("all", questions)], limit=limit, multiply=multiply, fold=fold
    )
    expected = [by_hand(WORDS, vectors, q, limit=limit, multiply=multiply, fold=fold) for q in questions]
    assert tally == ("all", expected.count(True), len(expected) - expected.count(None), len(expected))


@pytest.mark.parametrize("multiply", [False, True])
def test_answers_do_not_depend_on_how_many_words_are_looked_at_at_once(multiply, monkeypatch):
    draw = np.random.default_rng(0)
    words = [f"w{n}".encode() for n in range(3000)]
    space = space_of(words, draw.normal(size=(3000, 4)).round(1))
    questions = [Question(*(words[n] for n in draw.integers(3000, size=4))) for _ in range(40)]
    known = {word: [place + len(NAMES)] for place, word in enumerate(words)}
    whole = analogies.answers(space, questions, known, 2500, multiply=multiply)
    monkeypatch.setattr(analogies, "NUMBERS", 1)
    assert analogies.answers(space, questions, known, 2500, multiply=multiply) == whole
    assert max(whole) < 2500
    assert len(set(whole)) > 20


def test_of_equal_answers_the_first_is_taken():
    space = space_of([b"a", b"b", b"c", b"x", b"y"], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 2, 2]])
    for right, word in ((1, b"x"), (0, b"y")):
        (tally,) = analogies.judge(space, [Section("s", [Question(b"a", b"b", b"c", word)])])
        assert tally.correct == right


def test_sections_are_summed_up_by_what_their_names_tell():
    one, two, three = (analogies.Tally(name, n, 10, 20) for n, name in enumerate(["family", "gram1", "gram2"], 1))
    assert analogies.totals([one, two, three]) == [
        ("semantic", 1, 10, 20), ("syntactic", 5, 20, 40), ("total", 6, 30, 60),
    ]  # fmt: skip
    assert analogies.totals([one]) == [("total", 1, 10, 20)]
    assert analogies.Tally("s", 0, 0, 3).accuracy is None


def test_lines_are_sections_questions_or_nothing():
    assert analogies.parse(b": capital-world ") == "capital-world"
    assert analogies.parse(b"a\tb c  d\r") == Question(b"a", b"b", b"c", b"d")
    assert analogies.parse(b" ") is None
    assert analogies.parse(b"// a comment of five words") is None
    with pytest.raises(ValueError, match="4 words, this has 3"):
        analogies.parse(b"a b c")
