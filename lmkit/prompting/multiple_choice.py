"""Questions with their candidates, and the texts to score. Knows no models, no norms and no files."""

from dataclasses import dataclass, field
from typing import NamedTuple

from lmkit.prompting.layout import open_ended
from lmkit.prompting.slot_templates import ANSWER


@dataclass(frozen=True)
class Question:
    """A text up to where an answer goes, the answers that may go there, and the text behind it."""

    before: str
    candidates: tuple[str, ...]
    joint: str = ""
    """The separator before an answer, such as a space that the text before does not end in."""
    after: str = ""
    place: str = field(default="", compare=False)
    """Where it was read, for messages."""


class Scored(NamedTuple):
    """Log-probability of each candidate with what follows it, (C,), in nats, and how many tokens that is, (C,)."""

    nats: tuple[float, ...]
    tokens: tuple[int, ...]


def question_of(
    prompt: str, candidates: tuple[str, ...], joint: str = "", slot: int | None = None, place: str = ""
) -> Question:
    """The question that a prompt asks: at the `slot`, where it has a [Z], or else at its end.

    Spaces and tabs before the answer are the beginning of its joint.
    """
    open_end, after = (prompt, "") if slot is None else (prompt[:slot], prompt[slot + len(ANSWER) :])
    before, spaces = open_ended(open_end)
    return Question(before, candidates, spaces + joint, after, place)


def without_content(question: Question, text: str, content: str) -> Question | None:
    """The same question with the last that it has of a text replaced by another; None where it has none of it."""
    for name in ("after", "before"):
        whole: str = getattr(question, name)
        found = whole.rfind(text) if text else -1
        if found >= 0:
            parts = {"before": question.before, "after": question.after}
            parts[name] = whole[:found] + content + whole[found + len(text) :]
            before, spaces = open_ended(parts["before"])
            joint = spaces + question.joint
            return Question(before, question.candidates, joint, parts["after"], question.place)
    return None


def has_text(question: Question, text: object) -> bool:
    """Whether a question has a text, so that another can be put in its place."""
    return isinstance(text, str) and without_content(question, text, "") is not None
