r"""Whether an answer does what its instructions ask, where a program can tell: IFEval's kinds of instructions.

Zhou et al. (2023), Instruction-Following Evaluation for Large Language Models, table 1 names the kinds and what is
given with each; how a kind is checked is our own and said here. Words are runs of letters, digits and `_`, with `'`
inside. Comparisons of keywords and phrases ignore case; numbers are compared by `relation`, `at least` or `less than`.

Strict: the answer as it is. Loose: it, or it without `*`, or without its first line, its last or both.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from lmkit.data.languages import FUNCTION_WORDS, OTHER, closest_language
from lmkit.errors import DataError

_WORD = re.compile("\\w+(?:['\u2019]\\w+)*")
_SENTENCE_END = re.compile("[.!?\u2026]+[\"'\u201d\u2019)\\]]*(?=\\s|$)|[\u3002\uff01\uff1f]+")
_BULLET = re.compile(r"^\s*[*-]\s+\S", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*\*([^*\n]+)\*\*|\*([^*\n]+)\*")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_TITLE = re.compile(r"<<([^\n<>]+)>>")
_FENCE = re.compile(r"^```[a-zA-Z]*\n(.*)\n```$", re.DOTALL)
_PARAGRAPHS = re.compile(r"\n\s*\n")
RELATIONS = ("at least", "less than")
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
SCRIPTS = {
    "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "hi": "DEVANAGARI", "mr": "DEVANAGARI", "ne": "DEVANAGARI",
    "bn": "BENGALI", "ta": "TAMIL", "te": "TELUGU", "kn": "KANNADA", "gu": "GUJARATI", "pa": "GURMUKHI", "th": "THAI",
    "ko": "HANGUL", "ru": "CYRILLIC", "bg": "CYRILLIC", "uk": "CYRILLIC", "el": "GREEK", "he": "HEBREW",
    "ja": "HIRAGANA", "zh": "CJK",
}  # fmt: skip
"""Languages that are known by their script alone: one of several that share a script is taken for any of them."""

Check = Callable[[str], bool]


class Kind(NamedTuple):
    """A kind of instruction: what has to be given with it, and the check that this makes."""

    needs: Mapping[str, type]
    make: Callable[..., Check]


def _relates(relation: str, count: int, asked: int) -> bool:
    return count >= asked if relation == RELATIONS[0] else count < asked


def _counted(count: Callable[[str], int]) -> Callable[[int, str], Check]:
    """A check of a count by a relation."""
    return lambda asked, relation: lambda text: _relates(relation, count(text), asked)


def _exactly(count: Callable[[str], int]) -> Callable[[int], Check]:
    return lambda asked: lambda text: count(text) == asked


def _most(count: Callable[[str], int]) -> Callable[[int], Check]:
    return lambda asked: lambda text: count(text) >= asked


def _has_word(text: str, word: str) -> bool:
    return _frequency(word, text) > 0


def _frequency(word: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def sentences(text: str) -> int:
    """Sentences: ends of them, and what follows the last one if it has a word."""
    ends = list(_SENTENCE_END.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    return len(ends) + bool(_words(rest))


def _starred_paragraphs(text: str) -> int:
    """Paragraphs that `***` divides; an empty one counts as none, unless it is in the middle, where all is wrong."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    if not all(parts[1:-1]):
        return -1
    return sum(map(bool, parts))


def _nth_first_word(text: str, count: int, nth: int, first: str) -> bool:
    parts = [part.strip() for part in _PARAGRAPHS.split(text) if part.strip()]
    if len(parts) != count or not 1 <= nth <= len(parts):
        return False
    found = _words(parts[nth - 1])
    return bool(found) and found[0].lower() == first.strip().lower()


def _is_language(text: str, language: str) -> bool:
    if language in FUNCTION_WORDS:
        return closest_language(text) == language
    letters = [unicodedata.name(one, "") for one in text if one.isalpha()]
    wanted = SCRIPTS[language]
    if language == "ja" and any(name.startswith(("HIRAGANA", "KATAKANA")) for name in letters):
        return sum(name.startswith(("HIRAGANA", "KATAKANA", "CJK")) for name in letters) * 2 > len(letters)
    return sum(name.startswith(wanted) for name in letters) * 2 > len(letters)


def _is_json(text: str) -> bool:
    fenced = _FENCE.match(text.strip())
    try:
        json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return True


def _repeats(text: str, prompt: str) -> bool:
    return text.strip().lower().startswith(prompt.strip().lower())


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    while parts and not parts[-1]:
        parts.pop()
    while parts and not parts[0]:
        parts.pop(0)
    return len(parts) == 2 and parts[0] != parts[1]


def _ends(text: str, phrase: str) -> bool:
    return text.strip().strip("\"'\u201d\u2019").lower().endswith(phrase.strip().lower())


def _capitals(text: str) -> int:
    return sum(word.isupper() for word in _words(text))


def _letters(text: str, letter: str) -> int:
    return text.lower().count(letter.lower())


def _postscript(text: str, marker: str) -> bool:
    found = text.lower().rfind(marker.strip().lower())
    return found >= 0 and bool(text[found + len(marker.strip()) :].strip())


def _sections(text: str, splitter: str) -> int:
    return len(re.findall(rf"\b{re.escape(splitter.strip())}\s?\d+", text))


def _letter_count(letter: str, let_frequency: int, let_relation: str) -> Check:
    return lambda text: _relates(let_relation, _letters(text, letter), let_frequency)


KINDS: Mapping[str, Kind] = {
    "keywords:existence": Kind(
        {"keywords": list}, lambda words: lambda text: all(_has_word(text, word) for word in words)
    ),
    "keywords:frequency": Kind(
        {"keyword": str, "frequency": int, "relation": str},
        lambda word, asked, relation: lambda text: _relates(relation, _frequency(word, text), asked),
    ),
    "keywords:forbidden_words": Kind(
        {"forbidden_words": list}, lambda words: lambda text: not any(_has_word(text, word) for word in words)
    ),
    "keywords:letter_frequency": Kind({"letter": str, "let_frequency": int, "let_relation": str}, _letter_count),
    "language:response_language": Kind({"language": str}, lambda name: partial(_is_language, language=name)),
    "length_constraints:number_sentences": Kind({"num_sentences": int, "relation": str}, _counted(sentences)),
    "length_constraints:number_paragraphs": Kind({"num_paragraphs": int}, _exactly(_starred_paragraphs)),
    "length_constraints:number_words": Kind(
        {"num_words": int, "relation": str}, _counted(lambda text: len(_words(text)))
    ),
    "length_constraints:number_characters": Kind({"num_characters": int, "relation": str}, _counted(len)),
    "length_constraints:number_lines": Kind(
        {"num_lines": int}, _exactly(lambda text: sum(bool(line.strip()) for line in text.split("\n")))
    ),
    "length_constraints:nth_paragraph_first_word": Kind(
        {"num_paragraphs": int, "nth_paragraph": int, "first_word": str},
        lambda count, nth, word: lambda text: _nth_first_word(text, count, nth, word),
    ),
    "detectable_content:number_placeholders": Kind(
        {"num_placeholders": int}, _most(lambda text: len(_PLACEHOLDER.findall(text)))
    ),
    "detectable_content:postscript": Kind(
        {"postscript_marker": str}, lambda marker: partial(_postscript, marker=marker)
    ),
    "detectable_format:number_bullet_lists": Kind(
        {"num_bullets": int}, _exactly(lambda text: len(_BULLET.findall(text)))
    ),
    "detectable_format:constrained_response": Kind(
        {}, lambda: lambda text: any(answer in text for answer in CONSTRAINED)
    ),
    "detectable_format:number_highlighted_sections": Kind(
        {"num_highlights": int}, _most(lambda text: len(_HIGHLIGHT.findall(text)))
    ),
    "detectable_format:multiple_sections": Kind(
        {"section_spliter": str, "num_sections": int},
        lambda splitter, asked: lambda text: _sections(text, splitter) >= asked,
    ),
    "detectable_format:json_format": Kind({}, lambda: _is_json),
    "detectable_format:title": Kind({}, lambda: lambda text: any(title.strip() for title in _TITLE.findall(text))),
    "combination:two_responses": Kind({}, lambda: _two_responses),
    "combination:repeat_prompt": Kind({"prompt_to_repeat": str}, lambda prompt: partial(_repeats, prompt=prompt)),
    "startend:start_checker": Kind(
        {"start_phrase": str}, lambda phrase: lambda text: text.strip().lower().startswith(phrase.strip().lower())
    ),
    "startend:end_checker": Kind({"end_phrase": str}, lambda phrase: partial(_ends, phrase=phrase)),
    "startend:quotation": Kind(
        {}, lambda: lambda text: len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"'
    ),
    "change_case:capital_word_frequency": Kind(
        {"capital_frequency": int, "capital_relation": str}, _counted(_capitals)
    ),
    "change_case:english_capital": Kind(
        {}, lambda: lambda text: text.isupper() and closest_language(text) in ("en", OTHER)
    ),
    "change_case:english_lowercase": Kind(
        {}, lambda: lambda text: text.islower() and closest_language(text) in ("en", OTHER)
    ),
    "punctuation:no_comma": Kind({}, lambda: lambda text: "," not in text),
}
"""Each kind of instruction; three of them are ours: number_characters, number_lines and start_checker."""


@dataclass(frozen=True)
class Instruction:
    """An instruction that can be checked."""

    kind: str
    check: Check

    def follows(self, answer: str, *, loose: bool = False) -> bool:
        """Whether an answer does what is asked; an empty one never does."""
        return any(one.strip() and self.check(one) for one in (variants(answer) if loose else [answer]))


def instruction(kind: object, given: Mapping[str, Any]) -> Instruction:
    """The instruction of a kind, with what goes with it. Raises DataError for an unknown kind or what it lacks."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(f"no instruction {kind!r}", hint=f"those known are {', '.join(KINDS)}")
    values = [_value(kind, given, name, wanted) for name, wanted in KINDS[kind].needs.items()]
    return Instruction(kind, KINDS[kind].make(*values))


def _value(kind: str, given: Mapping[str, Any], name: str, wanted: type) -> Any:
    value = given.get(name)
    if isinstance(value, float) and wanted is int and value.is_integer():  # as files made by data frames have them
        value = int(value)
    if not isinstance(value, wanted) or isinstance(value, bool):
        described = {int: "a whole number", str: "a text", list: "a list of texts"}[wanted]
        raise DataError(f"{kind}: `{name}` is {value!r}, expected {described}")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise DataError(f"{kind}: `{name}` is {value!r}, expected a list of texts")
    if name.endswith("relation") and value not in RELATIONS:
        raise DataError(f"{kind}: `{name}` is {value!r}, expected `at least` or `less than`")
    if name == "language" and value not in FUNCTION_WORDS and value not in SCRIPTS:
        raise DataError(f"{kind}: no language {value!r}; known are {', '.join(sorted({*FUNCTION_WORDS, *SCRIPTS}))}")
    return value


def variants(answer: str) -> Sequence[str]:
    """An answer as loose checks see it: with or without `*`, its first line and its last."""
    lines = answer.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    texts = [answer, *cut]
    return [*texts, *(text.replace("*", "") for text in texts)]
