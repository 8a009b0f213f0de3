"""Rules for documents, against plain definitions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data import filter_rules
from lmkit.data.filter_rules import RULES, Document, chosen, first_failure
from lmkit.data.text_edits import EDITS, passes_luhn

WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "d1"]), max_size=25)


def grams(words, n):
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


@pytest.mark.parametrize("long", [filter_rules.LONG, 0])
@given(WORDS, st.integers(2, 10))
def test_repeated_grams_are_those_that_occurred_before(long, words, n):
    covered, seen = set(), set()
    for at, gram in enumerate(grams(words, n)):
        if gram in seen:
            covered |= set(range(at, at + n))
        seen.add(gram)
    total = sum(map(len, words))
    expected = sum(len(words[at]) for at in covered) / total if total else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filter_rules, "LONG", long)
        assert Document(" ".join(words)).repeated_grams(n) == expected


@pytest.mark.parametrize("long", [filter_rules.LONG, 0])
@given(WORDS, st.integers(2, 4))
def test_the_top_gram_has_the_most_characters(long, words, n):
    counts = Counter(grams(words, n))
    sizes = [count * sum(map(len, gram)) for gram, count in counts.items() if count > 1]
    expected = min(1, max(sizes, default=0) / max(1, sum(map(len, words))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filter_rules, "LONG", long)
        assert Document(" ".join(words)).top_gram(n) == pytest.approx(expected)


GOOD = """The old harbour wakes before the city does, with engines coughing and gulls arguing over scraps.
Fishermen who have spent forty years on this water mend torn nets while their coffee cools on a barrel.
Nobody talks much, because everyone knows what the weather will bring and which boats should stay.
By noon a market fills every corner of the square, and children run between crates of silver sardines."""


@pytest.mark.parametrize(
    ("text", "rule"),
    [(GOOD, None), ("too short", "gopher-words"), ("a b " * 40, "gopher-word-length"),
     (GOOD + " #tag" * 10, "gopher-hashes"), (GOOD.replace("of", "...", 2), None), ("so... " * 60, "gopher-ellipses"),
     ("- " + GOOD.replace("\n", "\n- "), "gopher-bullets"),
     (GOOD + " 1234 5678 9101 1121 3141 5161 7181 9202 1222 3242 5262 7282 9303 1323 3343 5363 7383 940",
      "gopher-alphabetic"),
     ("palabra " * 60, "gopher-stop-words"), ("\n".join([GOOD] * 2), "gopher-repeated-lines")],
)  # fmt: skip
def test_gopher(text, rule):
    failure = first_failure(Document(text), chosen(["gopher"]))
    assert (failure and failure.rule) == rule


def test_stop_words_follow_the_language():
    spanish = "El gato de la casa y los perros que viven con el vecino en la calle."
    assert Document(spanish).stop_words() == 8
    assert Document("The cat and the dog of John").stop_words() == 3
    assert Document(spanish, frozenset({"gato"})).stop_words() == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [("One. Two! Three?", None), ("One. Two!", "c4-sentences"), ("A. B. C. Lorem ipsum.", "c4-lorem-ipsum"),
     ("A. B. C. {", "c4-curly-brackets")],
)  # fmt: skip
def test_c4(text, rule):
    failure = first_failure(Document(text), chosen(["c4"]))
    assert (failure and failure.rule) == rule


def test_fineweb():
    lines = ["A line that ends with a full stop and is long."] * 1 + [
        f"line {n} without an end but long enough" for n in range(9)
    ]
    assert first_failure(Document("\n".join(lines)), chosen(["fineweb"])).rule == "fineweb-line-ends"
    assert first_failure(Document("\n".join(lines[:8])), chosen(["fineweb"])) is None
    assert first_failure(Document("Short.\nShorter.\nShortest."), chosen(["fineweb"])).rule == "fineweb-short-lines"
    twice = "\n".join([lines[0] * 3, lines[0] * 3])
    assert first_failure(Document(twice), chosen(["fineweb"])).rule == "fineweb-repeated-lines"


def test_sets_and_single_rules():
    assert set(chosen(["gopher", "c4", "fineweb"])) == set(RULES)
    assert list(chosen(["c4", "-c4-sentences"])) == ["c4-lorem-ipsum", "c4-curly-brackets"]
    with pytest.raises(ValueError, match="goper"):
        chosen(["goper"])


@pytest.mark.parametrize(
    ("rule", "text", "edited"),
    [("pii-email", "a juan.perez+x@mail.example.com, b@c d@e.f", "a [EMAIL], b@c d@e.f"),
     ("pii-ip", "10.0.0.1, 256.1.1.1, 1.2.3.4.5, 2001:db8::1 and 12:30:45.",
      "[IP], 256.1.1.1, 1.2.3.4.5, [IP] and 12:30:45."),
     ("pii-card", "4111-1111-1111-1111, 4111 1111 1111 1112", "[CARD], 4111 1111 1111 1112"),
     ("pii-card", "0000 0000 0000 0000 and 123", "0000 0000 0000 0000 and 123"),
     ("c4-lines", "A sentence of five words.\nShort one.\nNo end of this line here\nWe use cookies on this site.",
      "A sentence of five words."),
     ("c4-lines", "A line that trails off...\nSo does this line too…\nAnd one has a long " + 1001 * "w" + ".\n"
      "Is this kept, too? «Yes»", "Is this kept, too? «Yes»"),
     ("c4-citations", "So [1], as it is[citation needed] [edit] a[i].", "So , as it is  a[i].")],
)  # fmt: skip
def test_edits(rule, text, edited):
    assert EDITS[rule](text)[0] == edited


def test_the_check_digit():
    assert passes_luhn("79927398713")
    assert [digit for digit in range(10) if passes_luhn(f"7992739871{digit}")] == [3]
