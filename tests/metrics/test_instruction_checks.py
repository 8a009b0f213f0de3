"""Instructions that a program can check: an answer that follows each, and one that does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.metrics.instruction_checks import KINDS, instruction, variants

AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
CASES = [
    ("keywords:existence", {"keywords": ["Cat", "red dog"]}, "A cat and a red  dog", "A red dog, a cat."),
    ("keywords:frequency", {"keyword": "la", "frequency": 2, **LESS}, "la la", "La lata"),
    ("keywords:forbidden_words", {"forbidden_words": ["art"]}, "Art.", "party"),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 3, "let_relation": "at least"}, "eel", "Eel eye"),
    ("language:response_language", {"language": "es"}, "The house is on the hill", "La casa está en la loma"),
    ("language:response_language", {"language": "ru"}, "Dom na holme", "Дом на холме"),
    ("language:response_language", {"language": "ja"}, "我在家", "私は家にいる"),
    ("length_constraints:number_sentences", {"num_sentences": 3, **AT_LEAST}, "One. Two 3.5!", "One? Two... Three"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n\nb", "a\n***\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a *** *** b", "a *** b ***"),
    ("length_constraints:number_words", {"num_words": 3, **LESS}, "one two, three", "isn't it"),
    ("length_constraints:number_characters", {"num_characters": 3, **AT_LEAST}, "ñi", "año"),
    ("length_constraints:number_lines", {"num_lines": 2}, "a\nb\nc", "a\n\nb\n"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "so"},
     "So\n\nand", "And\n\n  'so', yes"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name]", "[name] of [town]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "bye p.s.", "bye\nP.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b\n* c", "* a\n  - b\n-- no"),
    ("detectable_format:constrained_response", {}, "yes", "My answer is maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* b", "*a* and **b c**"),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2}, "Part 1", "Part 1\nPart 2"),
    ("detectable_format:json_format", {}, "{'a': 1}", "```json\n{\"a\": [1]}\n```"),
    ("detectable_format:title", {}, "<< >>", "<<a title>>\ntext"),
    ("combination:two_responses", {}, "a\n******\na", "a\n******\nb\n******"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say a"}, "a", "say a\na"),
    ("startend:start_checker", {"start_phrase": "Dear"}, "O dear", " dear all"),
    ("startend:end_checker", {"end_phrase": "Any more?"}, "Any more? No", "Yes. any more?\""),
    ("startend:quotation", {}, "\"", "\"a\"\n"),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "NO WAY", "A no"),
    ("change_case:english_capital", {}, "LA CASA ESTÁ EN LA LOMA", "THE HOUSE 1"),
    ("change_case:english_lowercase", {}, "the House", "the house"),
    ("punctuation:no_comma", {}, "a, b", "a; b"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "wrong", "right"), CASES)
def test_each_kind(kind, given, wrong, right):
    found = instruction(kind, {**given, "unused": None})
    assert found.follows(right)
    assert not found.follows(wrong)
    assert not found.follows(" \n")


def test_every_kind_has_a_case():
    assert {kind for kind, *_ in CASES} == set(KINDS)


@given(st.sampled_from(CASES), st.text())
def test_any_text_is_an_answer_and_strict_implies_loose(case, text):
    found = instruction(case[0], case[1])
    assert found.follows(text) <= found.follows(text, loose=True)


def test_loose_checks_see_a_text_without_its_ends():
    assert list(variants("Sure!\n*yes*\nBye")) == [
        "Sure!\n*yes*\nBye", "*yes*\nBye", "Sure!\n*yes*", "*yes*", "Sure!\nyes\nBye", "yes\nBye", "Sure!\nyes", "yes",
    ]  # fmt: skip
    found = instruction("startend:end_checker", {"end_phrase": "yes"})
    assert not found.follows("Sure!\n*yes*\nBye")
    assert found.follows("Sure!\n*yes*\nBye", loose=True)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("no:such", {}, "no instruction 'no:such'"),
        (["x"], {}, "no instruction"),
        ("keywords:existence", {}, "`keywords` is None, expected a list of texts"),
        ("keywords:existence", {"keywords": [1]}, "expected a list of texts"),
        ("length_constraints:number_words", {"num_words": True, **LESS}, "`num_words` is True, expected a whole"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, "expected `at least` or"),
        ("language:response_language", {"language": "xx"}, "no language 'xx'; known are ar, bg"),
    ],
)  # fmt: skip
def test_instructions_that_are_none(kind, given, message):
    with pytest.raises(DataError, match=message):
        instruction(kind, given)


def test_numbers_of_data_frames():
    assert instruction("length_constraints:number_lines", {"num_lines": 1.0}).follows("a")
