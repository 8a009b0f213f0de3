"""Texts held to grammars: valid from any model, over any tokens, with its weights where there is a choice."""

import json
import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import MAKERS, SPELLS_LETTERS, RandomModel

from lmkit.data.keyed_random import stream_of
from lmkit.errors import DataError
from lmkit.generation import prompt_encoding
from lmkit.generation.batching import StateRows
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper

pytest.importorskip("llguidance")

from lmkit.generation.constraints import Grammars
from lmkit.generation.grammars import Grammar, grammar_in

FRAMES = ["Killing", "Robbery", "Violence", "Rape", "Shoot_projectiles", "Abusing"]
INPUT = "armed men shot at the bus and robbed the 3 niños"


def texts(model, grammar, number=3, most=400, together=False, grammars=None, seed=0, **filtered):
    """What a model writes under a grammar."""
    grammars = grammars or Grammars(model)
    chooser = Sampler(Filtering(**filtered).chain(), never=prompt_encoding.never(model, unknown=True))
    stepper = BatchedStepper(model, chooser) if together else SequentialStepper(model, chooser)
    requests = [
        Request(stream_of(seed, "0", index), np.zeros(0, np.int32), model.start, grammars.constraint(grammar))
        for index in range(number)
    ]
    found = list(Generator(model, stepper, most=most, batch=4 if together else 1).run(requests))
    return list(completions(found))


def regex(pattern):
    return Grammar("regex", pattern)


# Patterns of which every prefix can be completed with the letters that models have.
LETTER = st.sampled_from("ab01e_éñ😀")
PATTERNS = st.recursive(
    st.one_of(
        LETTER,
        st.sampled_from(["[ab]", "[^a-y0-9 ]", "[é-ñ]", "(?:the|cat)", "[a-z]", "\\.", '"']),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda pattern: f"(?:{pattern})?"),
        inner.map(lambda pattern: f"(?:{pattern}){{1,3}}"),
        inner.map(lambda pattern: f"(?:{pattern})*"),
    ),
    max_leaves=6,
)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SPELLS_LETTERS)
@settings(max_examples=25)
@given(pattern=PATTERNS, seed=st.integers(0, 99), together=st.booleans())
def test_any_pattern_is_matched(name, pattern, seed, together):
    try:
        made = texts(RandomModel(name, seed=seed), regex(pattern), most=60, together=together)
    except DataError as error:
        assert "no token that the constraint allows" in str(error)  # noqa: PT017
        assert "[^" in pattern  # a character that the model does not have
        return
    for done in made:
        if done.finish_reason != "length":
            assert re.fullmatch(pattern, done.text.decode()), done.text


TEXTS = st.lists(
    st.one_of(st.sampled_from(["", "0", "01", "a", "ab", "the cat", "😀", "niña"]), st.text("ab01é😀_", max_size=4)),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SPELLS_LETTERS)
@settings(max_examples=25)
@given(choices=TEXTS, seed=st.integers(0, 99), together=st.booleans())
def test_any_choice_is_made(name, choices, seed, together):
    for done in texts(RandomModel(name, seed=seed), Grammar("choice", choices), together=together):
        assert done.text.decode() in choices
        assert done.finish_reason in ("eos", "stop")


@settings(max_examples=40)
@given(data=st.data(), by=st.sampled_from(["line", "blank-line"]), seed=st.integers(0, 99))
def test_words_are_parted_by_spaces_and_lines_by_line_ends(data, by, seed):
    words = ["the", "cat", "a", "ab", "b", "0", "01", "niña", "😀"]
    lines = st.lists(st.sampled_from(words), min_size=1, max_size=4).map(" ".join)
    text = lines if by == "line" else st.lists(lines, min_size=1, max_size=3).map("\n".join)
    choices = data.draw(st.lists(text, min_size=1, max_size=4, unique=True))
    for done in texts(RandomModel("word", by, seed), Grammar("choice", choices)):
        assert done.text.decode() in choices


def test_a_word_that_only_begins_what_must_follow_is_not_written():
    made = texts(RandomModel("word"), regex("(?:the|cat) (?:abba|niña)|noble|dogma"), 40)
    assert {done.text.decode() for done in made} == {"the niña", "cat niña"}
    assert {done.text for done in texts(RandomModel("bpe-char"), regex("(?:est|per)[ae]+s? [aeiou]n"), 5)}


def test_what_no_token_spells_is_told():
    for pattern in ("dogma", "the dogma", "X"):
        with pytest.raises(DataError, match="no token that the constraint allows"):
            texts(RandomModel("word"), regex(pattern))
    with pytest.raises(DataError, match="no tokens that spell the choice 'dogma'"):
        texts(RandomModel("word"), Grammar("choice", ["dog", "dogma"]))


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SPELLS_LETTERS)
def test_choices_come_as_often_as_the_model_has_them(name):
    """The model's probability of each whole text, its end included, over that of all."""
    model = RandomModel(name, seed=3, sharpness=1.0)
    letters = {"a": 0.0, "b": 0.0, "é": 0.0}
    made = Counter(done.text.decode() for done in texts(model, Grammar("choice", list(letters)), 600))
    if name in ("char", "word-pieces", "marked"):  # each is one token there
        first = model.next(())
        spelled = {
            piece: [t for t in range(model.tokenizer.size) if model.tokenizer.decode([t]).decode() == piece]
            for piece in letters
        }
        weights = {piece: np.exp(first[tokens]).sum() for piece, tokens in spelled.items()}
        for piece, weight in weights.items():
            expected = 600 * weight / sum(weights.values())
            assert abs(made[piece] - expected) < 5 * math.sqrt(expected)
    assert set(made) == set(letters)


def test_the_end_is_the_models_choice_where_the_text_may_go_on():
    finished = Counter(done.finish_reason for done in texts(RandomModel("char"), regex("a*"), 30, most=50))
    assert set(finished) == {"eos"}
    endless = texts(RandomModel("char", end=False), regex("a*"), most=7)
    assert {(done.text, done.finish_reason) for done in endless} == {(b"a" * 7, "length")}
    prefix = texts(RandomModel("char"), Grammar("choice", ["a", "ab"]), 60)
    assert {(done.text, done.finish_reason) for done in prefix} == {(b"a", "eos"), (b"ab", "stop")}
    assert {done.text for done in texts(RandomModel("char", end=False), Grammar("choice", ["a", "ab"]), 60)} == {b"ab"}


@pytest.mark.parametrize("together", [False, True])
def test_the_empty_text_is_a_text(together):
    for end in (False, True):
        made = texts(RandomModel("byte", end=end), Grammar("choice", [""]), 9, together=together)
        assert [(done.text, done.ids, done.finish_reason) for done in made] == [(b"", [], "stop")] * 9


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_whatever_is_run_beside_it(name):
    for pattern in ("(?:the|cat|a|b|0){1,9}", "(?:(?:a|the|no) )*cat"):
        alone = [done.ids for done in texts(RandomModel(name), regex(pattern), 6, top_k=5)]
        assert [done.ids for done in texts(RandomModel(name), regex(pattern), 6, top_k=5, together=True)] == alone


class RoughModel(RandomModel):
    """Several rows at once have other numbers than single steps, by up to its tolerance."""

    tolerance = 0.3

    def rows(self, states):
        return RoughRows(self, states)


class RoughRows(StateRows):
    def next(self):
        rows = super().next()
        return rows + np.random.default_rng(len(self)).uniform(-0.3, 0.3, size=rows.shape)


@pytest.mark.parametrize("filtered", [{}, {"top_k": 4}, {"top_p": 0.6}, {"temperature": 0}])
def test_rounding_changes_nothing_where_words_lead_nowhere(filtered):
    pattern = regex("(?:the|cat|dog|sat)x|(?:0|01|no) (?:the|cat|a|b|not)x?|niña|not [ab]")
    alone = [done.ids for done in texts(RandomModel("word", sharpness=1), pattern, 99, **filtered)]
    assert [
        done.ids for done in texts(RoughModel("word", sharpness=1), pattern, 99, together=True, **filtered)
    ] == alone
    assert len(set(map(tuple, alone))) > 1 or filtered == {"temperature": 0}


def test_tokens_of_parts_of_characters():
    for name in ("byte", "bpe-byte", "llama"):
        made = texts(RandomModel(name, sharpness=1), regex("[é-ñ😀-😎一-鿿]{4}"), 20)
        assert all(re.fullmatch("[é-ñ😀-😎一-鿿]{4}", done.text.decode()) for done in made)
        assert len({done.text for done in made}) > 10


# JSON.


def schema(**more):
    words = {"enum": INPUT.split(" ")}
    record = {
        "type": "array", "prefixItems": [{"enum": FRAMES}, words], "items": False, "minItems": 2, "maxItems": 2
    }  # fmt: skip
    return Grammar("json_schema", {"type": "array", "items": record, **more})


def check_records(made, number=None):
    for done in made:
        assert done.finish_reason in ("eos", "stop")
        records = json.loads(done.text)
        assert number is None or len(records) == number
        for frame, trigger in records:
            assert frame in FRAMES
            assert trigger in INPUT
        assert json.dumps(records, ensure_ascii=False).encode() == done.text


@pytest.mark.parametrize("name", ["byte", "bpe-byte", "llama"])
@pytest.mark.parametrize("together", [False, True])
def test_records_of_frames_and_triggers(name, together):
    model = RandomModel(name, sharpness=1.0)
    check_records(texts(model, schema(), 20, most=2000, together=together))
    for number in (0, 1, 3):
        check_records(texts(model, schema(minItems=number, maxItems=number), 4, together=together), number)


@pytest.mark.slow
def test_a_thousand_records_of_frames_and_triggers():
    check_records(texts(RandomModel("byte", sharpness=1.0), schema(maxItems=5), 1000, most=2000, together=True))


def test_triggers_by_a_grammar_are_any_part_of_the_input():
    lark = f"""
        start: "[]" | "[" record (", " record)* "]"
        record: "[\\"" FRAME "\\", \\"" TRIGGER "\\"]"
        FRAME: {" | ".join(f'"{frame}"' for frame in FRAMES)}
        TRIGGER: %regex {{"substring_chars": {json.dumps(INPUT)}}}
    """
    made = texts(RandomModel("byte", sharpness=1.0), Grammar("grammar", lark), 20, most=2000)
    for done in made:
        for frame, trigger in json.loads(done.text):
            assert frame in FRAMES
            assert trigger in INPUT
    assert any(json.loads(done.text) for done in made)


def test_any_json_never_has_white_space_between_its_parts():
    model = RandomModel("byte", sharpness=1.0)
    anything = {"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"const": {"a": [1, {"b": None}]}}]}}
    for done in texts(model, Grammar("json_schema", anything), 20, most=3000):
        assert json.dumps(json.loads(done.text)).encode() == done.text


# Grammars that are wrong, and records.


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("regex", "(a", "unclosed group"),
        ("regex", "a(?=b)", "look-around"),
        ("regex", "(a)\\1", "backreferences"),
        ("regex", "\ud800", "surrogates"),
        ("json_schema", {"not": {}}, 'Unimplemented keys: \\["not"\\]'),
        ("json_schema", {"anyOf": [{"uniqueItems": True}]}, 'Unimplemented keys: \\["uniqueItems"\\]'),
        ("json_schema", {"type": "objec"}, "Invalid type: objec"),
        ("json_schema", {"enum": []}, "Unsatisfiable"),
        ("json_schema", False, "Unsatisfiable"),
        ("json_schema", {"x-guidance": {"lenient": True}, "not": {}}, "x-guidance is not supported"),
        ("grammar", "start: foo", 'line 1, column 8: unknown name: "foo"'),
        ("grammar", "", "no start rule"),
    ],
)
def test_wrong_grammars_are_told_in_the_engines_words(kind, value, message):
    with pytest.raises(DataError, match=message) as told:
        Grammars(RandomModel("byte")).constraint(Grammar(kind, value))
    assert "\n" not in str(told.value)


def test_records_say_what_they_ask_for():
    assert grammar_in({"id": 3, "regex": None}) is None
    assert grammar_in({"choice": ["a", ""]}) == Grammar("choice", ["a", ""])
    assert grammar_in({"json_schema": True}) == Grammar("json_schema", True)
    for record in ({"regex": "a", "choice": ["a"]}, {"choice": []}, {"choice": "ab"}, {"choice": [1]}, {"regex": 1},
                   {"json_schema": [1]}, {"grammar": {}}):  # fmt: skip
        with pytest.raises(DataError, match=next(iter(record))):
            grammar_in(record)
    grammars = Grammars(RandomModel("char"))
    assert grammars.constraint_of({"prompt": "x"}) is None
    with pytest.raises(DataError, match=r"^regex: unclosed group"):
        grammars.constraint_of({"regex": "(a"})
    constraint = grammars.constraint_of({"choice": ["ab"]})
    assert np.flatnonzero(constraint.allowed()).size == 1
    assert not constraint.finished


@settings(max_examples=60)
@given(pattern=PATTERNS, text=st.text("ab01e_éñ😀thc. ", max_size=6))
def test_any_text_is_matched_or_not_as_patterns_say(pattern, text):
    grammars = Grammars(RandomModel("char"))
    assert grammars.matches(regex(pattern), text.encode()) == bool(re.fullmatch(pattern, text))
