"""Candidate scoring: the probability of each candidate as the continuation of a text, with what follows it.

The likelihood is exact: of all tokens of the whole text, as the model's tokenizer parts it, that are not the same
with every candidate and without one. What all candidates share is the prefix, run once; it never reaches into the
candidates. A token that spans the joint of text and candidate therefore counts with the candidate. Of models that read
single lines only the line with the answer is seen.

Shapes: C candidates.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from lmkit.data.sequences import encode_prompt
from lmkit.errors import DataError, LmkitError
from lmkit.prompting.multiple_choice import Question, Scored
from lmkit.prompting.prefix_scoring import prefix_scorer_of
from lmkit.prompting.score_normalization import NORMS, best, normalised
from lmkit.protocols import I32, LanguageModel, PrefixCache, context_limit

__all__ = [
    "NORMS",
    "EncodedQuestion",
    "Question",
    "Scored",
    "best",
    "encode_question",
    "expect_room",
    "normalised",
    "prefix_scorer_of",
    "reads_lines",
    "score",
    "score_all",
    "seen",
]  # fmt: skip

TOGETHER = 256
"""Questions that are put in order together, so that those that begin alike are asked one after another."""


class EncodedQuestion(NamedTuple):
    """The tokens of a question: those that all its texts begin with, and with each candidate the others."""

    prefix: I32
    endings: tuple[I32, ...]


def reads_lines(model: LanguageModel) -> bool:
    """Whether a model reads single lines, so that a question's other lines are not seen."""
    return not model.form.multiline and model.form.newline_id is not None


def seen(model: LanguageModel, question: Question) -> Question:
    """Return what a model sees of a question: of models of lines the answer's line, with its end if it has one."""
    if not reads_lines(model):
        return question
    before, after = question.before, question.after
    line_end = after.find("\n") + 1
    return replace(question, before=before[before.rfind("\n") + 1 :], after=after[:line_end] if line_end else after)


def encode_question(model: LanguageModel, question: Question) -> EncodedQuestion:
    """The tokens of a question. Raises DataError where they can't be had, as for an answer of several such lines."""
    before, after, end = question.before, question.after, None
    if reads_lines(model):
        line = seen(model, question)
        before, after = line.before, line.after.removesuffix("\n")
        end = model.form.newline_id if line.after.endswith("\n") else None
        if any("\n" in one for one in (question.joint, *question.candidates)):
            raise DataError("an answer has several lines, but the model reads single lines")

    def ids(text: str) -> I32:
        found: I32 = encode_prompt(model.tokenizer, model.form, text.encode())
        return found

    head = ids(before)
    texts = [ids(f"{before}{question.joint}{one}{after}") for one in question.candidates]
    shared = min((_common(head, text) for text in texts), default=len(head))
    endings = [text[shared:] for text in texts]
    if end is not None:
        endings = [np.append(ending, np.int32(end)) for ending in endings]
    return EncodedQuestion(head[:shared], tuple(endings))


def _common(one: I32, other: I32) -> int:
    """How many tokens two begin with alike."""
    length = min(len(one), len(other))
    differ = (one[:length] != other[:length]).nonzero()[0]
    return int(differ[0]) if len(differ) else length


def expect_room(model: LanguageModel, encoded: EncodedQuestion) -> None:
    """Raises DataError where the model can't see all of a question at once."""
    most = context_limit(model)
    size = len(encoded.prefix) + max(map(len, encoded.endings), default=0)
    if most is not None and size > most:
        raise DataError(
            f"prompt with answer of {size} tokens exceeds the model's context of {most}",
            hint="use --window to keep only the prompt's last tokens",
        )


def score(model: LanguageModel, questions: Iterable[Question], *, window: bool = False) -> Iterator[Scored]:
    """The scores of each question's candidates, in order; the same whatever other questions there are.

    Questions are taken some at a time, to have those that begin alike one after another. Raises DataError, which
    names the question's place, for one beyond the model's context unless `window`: then its last tokens are seen.
    """
    trunk = prefix_scorer_of(model)
    remaining = iter(questions)
    while some := list(islice(remaining, TOGETHER)):
        found = dict(score_all(model, [trunk], some, window=window))
        yield from (found[place] for place in range(len(some)))


def score_all(
    model: LanguageModel, trunks: Sequence[PrefixCache], questions: Sequence[Question], *, window: bool = False
) -> Iterator[tuple[int, Scored]]:
    """The same of questions in the order in which they are done, each with its place among them.

    Of several trunks each has a thread and a share of the questions, those that begin alike.
    """
    encoded = [_encoded(model, question, window=window) for question in questions]
    order = sorted(range(len(encoded)), key=lambda place: encoded[place].prefix.tolist())
    share = -(-len(order) // len(trunks))
    lanes = [order[begin : begin + share] for begin in range(0, len(order), share or 1)]

    def scored(trunk: PrefixCache, place: int) -> Scored:
        prefix, endings = encoded[place]
        with np.errstate(all="ignore"):  # which is each thread's own
            nats = trunk.endings(prefix, endings)
        return Scored(tuple(float(some.sum()) for some in nats), tuple(map(len, endings)))

    if len(lanes) < 2:
        yield from ((place, scored(trunks[0], place)) for place in order)
        return
    with ThreadPoolExecutor(len(lanes)) as pool:
        for step in range(share):
            places = [lane[step] for lane in lanes if step < len(lane)]
            yield from zip(places, pool.map(scored, trunks, places), strict=False)


def _encoded(model: LanguageModel, question: Question, *, window: bool) -> EncodedQuestion:
    """A question's tokens; what is wrong with it is said with its place."""
    try:
        encoded = encode_question(model, question)
        if not window:
            expect_room(model, encoded)
    except LmkitError as error:
        if not question.place:
            raise
        raise type(error)(f"{question.place}: {error}", hint=error.hint) from None
    return encoded
