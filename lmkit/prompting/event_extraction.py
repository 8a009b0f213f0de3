"""Events of given frames asked for in a text, as JSON: prompts, schemas of answers, and answers checked.

An event is a pair `[frame, trigger]`: one of the frames, and words of the text that name the event.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmkit.errors import DataError


class Frame(NamedTuple):
    """A kind of events."""

    name: str
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frames:
    """The frames that are asked for, and what for, in words of one's own or in those of a language."""

    frames: tuple[Frame, ...]
    goal: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the frames."""
        return [frame.name for frame in self.frames]


class Wording(NamedTuple):
    """What a prompt says in a language."""

    goal: str
    events: str
    guidelines: str
    text: str
    answer: str
    examples: str
    default_goal: str
    rules: tuple[str, ...]


WORDINGS: Mapping[str, Wording] = {
    "en": Wording(
        "GOAL", "EVENTS", "GUIDELINES", "TEXT", "ANSWER", "for example",
        "Find the events in the text that belong to one of the frames listed here, and the words that name them.",
        (
            "Write JSON and nothing else: no words before it, none behind it.",
            "The answer is one list, with a pair for each event: [frame, trigger].",
            "A frame is one of those listed, spelled as it is listed.",
            "A trigger is copied from the text exactly as written: the words that name the event, and no more of them.",
            "If the text has no such event, the answer is the empty list: [].",
        ),
    ),
    "es": Wording(
        "OBJETIVO", "EVENTOS", "INSTRUCCIONES", "TEXTO", "RESPUESTA", "por ejemplo",
        "Encuentra en el texto los eventos que pertenecen a uno de los marcos de esta lista, y las palabras que los "
        "nombran.",
        (
            "Escribe JSON y nada más: ninguna palabra antes, ninguna después.",
            "La respuesta es una sola lista, con un par por cada evento: [marco, disparador].",
            "Un marco es uno de los de la lista, escrito como está en ella.",
            "Un disparador se copia del texto tal como está en él: las palabras que nombran el evento, y no más.",
            "Si el texto no cuenta ninguno de estos eventos, la respuesta es la lista vacía: [].",
        ),
    ),
}  # fmt: skip


def frames_in(document: Any) -> Frames:
    """Frames out of a file: `frames`, a list or a mapping by name, and perhaps a `goal`. Raises DataError."""
    if not isinstance(document, Mapping) or "frames" not in document:
        raise DataError("no `frames`", hint='{"frames": [{"name": "Killing", "description": ..., "examples": [...]}]}')
    unknown = [str(key) for key in document if key not in ("frames", "goal")]
    if unknown:
        raise DataError(f"{unknown[0]!r} is neither `frames` nor `goal`")
    goal, listed = document.get("goal"), document["frames"]
    if goal is not None and not isinstance(goal, str):
        raise DataError("`goal` is not a text")
    if isinstance(listed, Mapping):
        listed = [{"name": name, **_parts(name, parts)} for name, parts in listed.items()]
    if not isinstance(listed, list) or not listed:
        raise DataError("`frames` is not a list of frames")
    frames = tuple(_frame(number, one) for number, one in enumerate(listed, 1))
    names = [frame.name for frame in frames]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"frame {twice!r} is repeated")
    return Frames(frames, goal)


def _parts(name: object, parts: Any) -> Mapping[str, Any]:
    """What a mapping says of a name: nothing, a description, or a frame's parts."""
    if parts is None or isinstance(parts, str):
        return {"description": parts or ""}
    if not isinstance(parts, Mapping):
        raise DataError(f"frame {name!r} is not a mapping")
    return parts


def _frame(number: int, value: Any) -> Frame:
    parts = {"name": value} if isinstance(value, str) else value
    if not isinstance(parts, Mapping) or set(parts) - set(Frame._fields):
        raise DataError(f"frame {number} has other fields than `name`, `description` and `examples`")
    name, description, examples = parts.get("name"), parts.get("description", ""), parts.get("examples", [])
    if not isinstance(name, str) or not name.strip() or "\n" in name:
        raise DataError(
            f"frame {number} has no `name`, a text of one line",
            hint="quote names that YAML reads as other values, such as yes and no",
        )
    listed = isinstance(examples, list) and all(isinstance(one, str) for one in examples)
    if not isinstance(description, str) or not listed:
        raise DataError(f"frame {name!r}: expected a text as `description` and a list of texts as `examples`")
    return Frame(name, " ".join(description.split()), tuple(examples))


def prompt(frames: Frames, text: str, language: str) -> str:
    """The prompt for a text, which a line end ends: goal, events, guidelines, the text, and room for the answer."""
    words = WORDINGS[language]
    rules = (f"{number}. {rule}" for number, rule in enumerate(words.rules, 1))
    blocks = (
        (words.goal, " ".join((frames.goal or words.default_goal).split())),
        (words.events, "\n".join(_line(frame, words) for frame in frames.frames)),
        (words.guidelines, "\n".join(rules)),
        (words.text, text),
    )
    return "".join(f"{title}\n{block}\n\n" for title, block in blocks) + f"{words.answer}\n"


def _line(frame: Frame, words: Wording) -> str:
    """A frame in one line."""
    line = f"- {frame.name}"
    if frame.description:
        line += f": {frame.description}"
    if frame.examples:
        line += f" ({words.examples}: {', '.join(frame.examples)})"
    return line


_WORD = re.compile(r"\w+")


def spans(text: str, words: int) -> Iterator[str]:
    """Parts of a text from the beginning of a word to the end of one, of so many words at the most, each once."""
    places = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    seen = set()
    for first, (begin, _) in enumerate(places):
        for _, end in places[first : first + words]:
            if (span := text[begin:end]) not in seen:
                seen.add(span)
                yield span


def schema(frames: Frames, text: str, words: int, events: int) -> dict[str, Any]:
    """The JSON schema of answers about a text: so many events at the most, with triggers of so many words."""
    triggers = list(spans(text, words))
    if not triggers:
        return {"type": "array", "maxItems": 0}
    event = {
        "type": "array", "prefixItems": [{"enum": frames.names}, {"enum": triggers}], "items": False,
        "minItems": 2, "maxItems": 2,
    }  # fmt: skip
    return {"type": "array", "items": event, "maxItems": events}


class Checked(NamedTuple):
    """The events of an answer, and what is wrong with it."""

    events: list[list[str]]
    problems: list[str]


def check(frames: Frames, text: str, answer: str) -> Checked:
    """The events that an answer about a text names, those that keep to the guidelines, and how others do not."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return Checked([], ["not JSON"])
    if not isinstance(found, list):
        return Checked([], ["not a list"])
    events, problems = list[list[str]](), list[str]()
    for number, event in enumerate(found, 1):
        wrong = _wrong(frames.names, text, event)
        if wrong:
            problems.append(f"event {number}: {wrong}")
        else:
            events.append(event)
    return Checked(events, problems)


def _wrong(names: Sequence[str], text: str, event: Any) -> str | None:
    if not isinstance(event, list) or len(event) != 2 or not all(isinstance(one, str) for one in event):
        return "not a frame and a trigger"
    if event[0] not in names:
        return f"{event[0]!r} is not one of the frames"
    return None if event[1] and event[1] in text else f"{event[1]!r} is not in the text"
