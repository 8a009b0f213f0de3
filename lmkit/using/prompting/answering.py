"""How probable each answer to a question is: a text goes on with one of several candidates, and with what follows them.

The likelihood is exact: of all tokens of the whole text, as the model's tokenizer parts it, that are not the same
with every candidate and without one. What all candidates share is the prefix, run once; it never reaches into the
candidates. A token that spans the joint of text and candidate therefore counts with the candidate.

Shapes: C candidates.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmkit.protocols import I32
from lmkit.text.sequences import encode_prompt
from lmkit.using.generation import prompts, stepping


@dataclass(frozen=True)
class Question:
    """A text up to where an answer goes, the answers that may go there, and the text behind it."""

    before: str
    candidates: tuple[str, ...]
    joint: str = ""
    """What stands before an answer, such as a space that the text before does not end in."""
    after: str = ""


class Parted(NamedTuple):
    """The tokens of a question: those that all its texts begin with, and with each candidate the others."""

    prefix: I32
    endings: tuple[I32, ...]


class Scored(NamedTuple):
    """Log-probability of each candidate with what follows it, (C,), in nats, and how many tokens that is, (C,)."""

    nats: tuple[float, ...]
    tokens: tuple[int, ...]


def part(model: Any, question: Question) -> Parted:
    """The tokens of a question."""

    def ids(text: str) -> I32:
        found: I32 = encode_prompt(model.tokenizer, model.form, text.encode())
        return found

    head = ids(question.before)
    texts = [ids(f"{question.before}{question.joint}{one}{question.after}") for one in question.candidates]
    shared = min((_common(head, text) for text in texts), default=len(head))
    return Parted(head[:shared], tuple(text[shared:] for text in texts))


def _common(one: I32, other: I32) -> int:
    """How many tokens two begin with alike."""
    length = min(len(one), len(other))
    differ = (one[:length] != other[:length]).nonzero()[0]
    return int(differ[0]) if len(differ) else length


def score(model: Any, questions: Iterable[Question]) -> Iterator[Scored]:
    """The scores of each question's candidates, in order."""
    for question in questions:
        parted = part(model, question)
        state = prompts.state_after(model, parted.prefix)
        nats = [float(stepping.score_after(model, state, ending.tolist()).sum()) for ending in parted.endings]
        yield Scored(tuple(nats), tuple(map(len, parted.endings)))


NORMS = ("none", "tokens", "bytes", "chars")


def normalised(scored: Scored, question: Question, norm: str) -> list[float]:
    """Nats as they are (`none`), or for each token scored, or for each byte or character of the candidate, (C,)."""
    sizes = {
        "none": [1] * len(question.candidates),
        "tokens": scored.tokens,
        "bytes": [len(one.encode()) for one in question.candidates],
        "chars": [len(one) for one in question.candidates],
    }[norm]
    return [nats / max(1, size) for nats, size in zip(scored.nats, sizes, strict=True)]


def best(scores: Sequence[float]) -> int:
    """Which candidate is chosen: the first of the highest."""
    return max(range(len(scores)), key=lambda place: (scores[place], -place))
