r"""Named formats of prompts: what was published, as a table of small templates. Knows no files.

t0-mcq    a multiple-choice question (Sanh et al. 2022, after the course's slide); choices get letters
gpt1      a text, or two, between marks (Radford et al. 2018); similar texts in both orders
bert      a text, or two, between marks (Devlin et al. 2019)
t5        a text behind the name of its task (Raffel et al. 2020), which prefixes the input, never the target
instruct  an instruction, with an input or without one, in the manner of Alpaca (Taori et al. 2023)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from lmkit.errors import DataError
from lmkit.prompting.examples import INPUTS, OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate, as_text, parse

SIMILARITY = "similarity"


@dataclass(frozen=True)
class Format:
    """A format: its templates, of which the first serves whose fields are all there, and what a field goes by."""

    templates: tuple[str, ...]
    columns: tuple[str, ...]
    """What the columns of a table are; a plain line is the first."""
    example: Mapping[str, Any]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: tuple[str, ...] = OUTPUTS
    """Fields that say what is right."""


_PAIR = {"a": ("a", "sentence1", "premise", *INPUTS), "b": ("b", "sentence2", "hypothesis")}
_MCQ = (
    "Read the context and answer the question by selecting one of the provided choices\n"
    "Question: [X:question]\nContext: [X:context]\nChoices: [X:choices]\nAnswer: "
)
_WITH_INPUT = (
    "Below is an instruction, and an input that it is about. Write a response that does what is asked.\n\n"
    "### Instruction:\n[X:instruction]\n\n### Input:\n[X:input]\n\n### Response:\n"
)
_WITHOUT = (
    "Below is an instruction. Write a response that does what is asked.\n\n"
    "### Instruction:\n[X:instruction]\n\n### Response:\n"
)
FORMATS: Mapping[str, Format] = {
    "t0-mcq": Format(
        (_MCQ,), ("question", "context", "choices"),
        {"question": "What is red?", "context": "Blood is red.", "choices": ["blood", "milk"]},
    ),
    "gpt1": Format(
        ("[START] [X:a] [DELIM] [X:b] [EXTRACT]", "[START] [X:a] [EXTRACT]"), ("a", "b", "output"),
        {"a": "El home está en el umbral", "b": "La persona está cerca de la puerta"}, _PAIR,
    ),
    "bert": Format(
        ("[CLS] [X:a] [SEP] [X:b] [SEP]", "[CLS] [X:a] [SEP]"), ("a", "b", "output"), {"a": "a man", "b": "a person"},
        _PAIR,
    ),
    "t5": Format(
        ("[X:task]: [X:input]",), ("input", "output"), {"task": "summarize", "input": "a long text"},
        {"input": (*INPUTS, "source")}, (*OUTPUTS, "target"),
    ),
    "instruct": Format(
        (_WITH_INPUT, _WITHOUT), ("instruction", "input", "output"),
        {"instruction": "Translate to Spanish.", "input": "blood"}, {"instruction": ("instruction", "question")},
        ("output", "response", "label", "answer"),
    ),
}  # fmt: skip
OPTIONAL = ("b", "input")
"""Fields that a record need not have, or may have empty; another template serves then."""


def render(style: Format, record: Mapping[str, Any]) -> FilledTemplate:
    """The prompt of a record. Raises DataError where a field is missing, or no text."""
    templates = [parse(text) for text in style.templates]
    for template in templates:
        if all(_there(style, record, slot.name) for slot in template.slots) or template is templates[-1]:
            return template.fill(lambda name: _text(style, record, str(name)))
    raise AssertionError("no template")


def _found(style: Format, record: Mapping[str, Any], name: str) -> str | None:
    return next((one for one in style.aliases.get(name, (name,)) if one in record), None)


def _there(style: Format, record: Mapping[str, Any], name: str | None) -> bool:
    found = _found(style, record, str(name))
    return found is not None and not (name in OPTIONAL and len(style.templates) > 1 and record[found] in ("", None))


def _text(style: Format, record: Mapping[str, Any], name: str) -> str:
    found = _found(style, record, name)
    if found is None:
        names = style.aliases.get(name, (name,))
        hint = "--task gives one to all" if name == "task" else None
        raise DataError(f"no field {' or '.join(map(repr, names))}", hint=hint)
    if name == "choices":
        choices = choices_of(record)
        return " ".join(f"({letter}) {choice}" for letter, choice in zip(letters(), choices, strict=False))
    return as_text(record[found], found)


def both_orders(record: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A pair as it is (`ab`) and with its texts exchanged (`ba`). Raises DataError where it is no pair."""
    style = FORMATS["gpt1"]
    a, b = _found(style, record, "a"), _found(style, record, "b")
    if a is None or b is None:
        raise DataError(f"{SIMILARITY} needs two texts, `a` and `b`")
    return [("ab", dict(record)), ("ba", {**record, a: record[b], b: record[a]})]


# Choices.


def letters() -> Iterator[str]:
    """A, B, ..., Z, AA, AB, ... without an end."""
    yield from ascii_uppercase
    for one in letters():
        for last in ascii_uppercase:
            yield one + last


def choices_of(record: Mapping[str, Any]) -> list[str]:
    """The choices of a record as texts. Raises DataError where they are no list of two or more."""
    choices = record.get("choices")
    if not isinstance(choices, Sequence) or isinstance(choices, str) or len(choices) < 2:
        raise DataError("the field 'choices' is not a list of at least two texts")
    return [as_text(choice, "choices") for choice in choices]


def candidates(record: Mapping[str, Any], answers: str) -> list[str]:
    """What may be answered: the `text` of each choice, or its `letter`. Raises DataError for a text that is twice."""
    choices = choices_of(record)
    if answers == "letter":
        return [letter for letter, _ in zip(letters(), choices, strict=False)]
    if len(set(choices)) < len(choices):
        raise DataError("two choices are the same", hint="distinguish them with --answers letter")
    return choices


def right_choice(record: Mapping[str, Any], answers: str) -> str | None:
    """Which candidate is right, as one of OUTPUTS says: a number from 0, or the text of a choice, or else its letter.

    None where nothing says it. Raises DataError where that is not one of the choices, or could be two.
    """
    said = next((record[name] for name in OUTPUTS if record.get(name) is not None), None)
    if said is None:
        return None
    choices, lettered = choices_of(record), candidates(record, "letter")
    text = as_text(said, "answer")
    if isinstance(said, int):
        numbers = [place for place, choice in enumerate(record["choices"]) if choice == said]
        places = sorted({*numbers, said}) if 0 <= said < len(choices) else []
    else:
        places = [place for place, choice in enumerate(choices) if choice == text]
        places = places or [place for place, letter in enumerate(lettered) if letter == text.strip("() ")]
    if not places:
        raise DataError(f"{text!r} is not one of the choices")
    if len(places) > 1:
        first, second = places[:2]
        raise DataError(
            f"{text!r} could be choice {lettered[first]} or {lettered[second]}", hint="give the letter as text"
        )
    return candidates(record, answers)[places[0]]
