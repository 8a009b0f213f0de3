"""What decides between answers: the options of norms, and a model asked about many questions, finished ones once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options import Run, choice
from lmkit.commands.prompt import finished
from lmkit.edge import streams
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.using.prompting.questions import Question

FREE = ("none", "tokens", "bytes", "chars")
NORMS = (*FREE, "pmi", "domain", "calibrated")
Norm = Annotated[str, typer.Option("--norm", metavar="NAME", callback=choice(*NORMS), help="Which score decides.")]
Domain = Annotated[
    str | None,
    typer.Option(
        "--domain", metavar="TEXT", show_default=False,
        help="The text that `domain` compares with: a prompt that fits any question of the kind.",
    ),
]  # fmt: skip
ContentFree = Annotated[
    list[str] | None,
    typer.Option(
        "--content-free", metavar="TEXT", show_default="N/A, nothing, [MASK]",
        help="What stands in place of a record's `input` for `calibrated`; repeat for several.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """The options of norms."""

    norm: Norm = "none"
    domain: Domain = None
    content_free: ContentFree = None

    def check(self, norms: Sequence[str] = ()) -> None:
        """Raises UsageError where a norm lacks what it needs."""
        if "domain" in (self.norm, *norms) and self.domain is None:
            raise UsageError("the norm `domain` needs a text of the domain", hint='--domain "The answer is"')
        if self.content_free and "calibrated" not in (self.norm, *norms):
            raise UsageError("--content-free is about the norm `calibrated`", hint="--norm calibrated")


class Decider:
    """Scores questions by norms with a model; what is finished is not asked again."""

    def __init__(
        self, run: Run, model: Any, options: Deciding, norms: Sequence[str], done: finished.Finished, *, window: bool
    ) -> None:
        from lmkit.using.prompting.answering import trunk_of
        from lmkit.using.prompting.norms import CONTENT_FREE

        self._run, self._model, self._norms, self._done, self._window = run, model, norms, done, window
        self._domain = None if options.domain is None else _typed(options.domain)
        self._contents = tuple(map(_typed, options.content_free)) if options.content_free else CONTENT_FREE
        self.norm = options.norm
        self._trunk = trunk_of(model)
        self._told = self._told_tie = False

    def scores(
        self, asked: "Sequence[tuple[Question, object]]", progress: Callable[[int], None] = lambda _place: None
    ) -> list[dict[str, list[float]]]:
        """The candidates' scores by each norm, (C,), of questions, each with the text that its item has.

        `progress` is told the place of each question as its own score gets known.
        """
        from lmkit.using.prompting import norms

        self._tell_lines([question for question, _ in asked])
        several = [
            norms.questions(question, self._norms, self._domain, self._contents, text) for question, text in asked
        ]
        firsts = {begin: place for place, begin in enumerate(accumulate(map(len, several[:-1]), initial=0))}
        flat = [question for questions in several for question in questions]
        scored: dict[int, Any] = {}
        for place, found in finished.scores(self._done, self._model, self._trunk, flat, window=self._window):
            scored[place] = found
            if place in firsts:
                progress(firsts[place])
        found = [
            norms.all_normalised(question, [scored[begin + more] for more in range(len(questions))], self._norms)
            for (question, _), questions, begin in zip(asked, several, firsts, strict=False)
        ]
        for (question, _), by_norm in zip(asked, found, strict=True):
            self._tell_tie(question, by_norm[self.norm])
        return found

    def chosen(
        self, asked: "Sequence[tuple[Question, object]]", progress: Callable[[int], None] = lambda _place: None
    ) -> list[int]:
        """Which candidate each question is answered by; see `scores`."""
        return [self.best(by_norm) for by_norm in self.scores(asked, progress)]

    def best(self, by_norm: Mapping[str, Sequence[float]]) -> int:
        """Which candidate is chosen by its scores."""
        from lmkit.using.prompting.norms import best

        return best(by_norm[self.norm])

    def _tell_tie(self, question: "Question", scores: Sequence[float]) -> None:
        """Says once that the first of equals is the answer, as of words that are all unknown to the model."""
        highest = max(scores)
        alike = [repr(one) for one, value in zip(question.candidates, scores, strict=True) if value == highest]
        if len(alike) > 1 and not self._told_tie:
            self._told_tie = True
            place = f"{question.place}: " if question.place else ""
            self._run.terminal.notice(f"{place}{', '.join(alike[:5])} score the same, of which the first is the answer")

    def _tell_lines(self, questions: "Sequence[Question]") -> None:
        """Says once that a model sees the answer's line alone."""
        from lmkit.using.prompting.answering import reads_lines

        several = any("\n" in question.before + question.after for question in questions)
        if several and not self._told and reads_lines(self._model):
            self._told = True
            self._run.terminal.notice(
                "the model reads each line by itself: of a prompt it sees the line that the answer is in"
            )


def _typed(text: str) -> str:
    return streams.argument_bytes(text).decode()
