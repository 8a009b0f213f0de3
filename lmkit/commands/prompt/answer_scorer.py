"""What decides between answers: the options of norms, and a model asked about many questions, finished ones once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.options.standard import Run, choice
from lmkit.commands.prompt import result_cache
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.prompting.score_normalization import CONTENT_FREE, NORMS, best

if TYPE_CHECKING:
    from lmkit.prompting.multiple_choice import Question, Scored

FEW = 4
"""Questions for each thread from which on threads work on questions of their own."""
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
class NormalizationOptions:
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


class AnswerScorer:
    """Scores questions by norms with a model; what is finished is not asked again."""

    def __init__(
        self, run: Run, model: Any, options: NormalizationOptions, norms: Sequence[str],
        done: result_cache.ResultCache, *,
        window: bool, sparing: bool = False, parting: str = "a space",
    ) -> None:  # fmt: skip
        """`sparing` leaves `calibrated` out, unless it decides, of questions that have no text to replace.

        `parting` is what the user may put between a prompt and its answers.
        """
        from lmkit.inference import thread_pool
        from lmkit.prompting.candidate_scoring import prefix_scorer_of

        self._run, self._model, self._norms, self._done, self._window = run, model, norms, done, window
        self._domain = None if options.domain is None else streams.argument_text(options.domain)
        self._contents = (
            tuple(map(streams.argument_text, options.content_free)) if options.content_free else CONTENT_FREE
        )
        self.norm = options.norm
        self._spared = ("calibrated",) if sparing and self.norm != "calibrated" else ()
        self._parting = parting
        self._trunks = [
            prefix_scorer_of(model) for _ in range(thread_pool.thread_count() if hasattr(model, "trunk") else 1)
        ]
        self._told = self._told_alike = False

    def scores(
        self, asked: "Sequence[tuple[Question, object]]", progress: Callable[[int], None] = lambda _place: None
    ) -> list[dict[str, list[float]]]:
        """The candidates' scores by each norm, (C,), of questions, each with the text that its item has.

        `progress` is told the place of each question as its own score gets known.
        """
        from lmkit.prompting import score_normalization
        from lmkit.prompting.candidate_scoring import seen

        self._tell_lines([question for question, _ in asked])
        wanted = [self._wanted(question, text) for question, text in asked]
        several = [
            score_normalization.questions(question, some, self._domain, self._contents, text)
            for (question, text), some in zip(asked, wanted, strict=True)
        ]
        begins = [0, *accumulate(map(len, several))][: len(several)]
        firsts = {begin: place for place, begin in enumerate(begins)}
        flat = [question for questions in several for question in questions]
        scored: dict[int, Any] = {}
        with self._hands(len(flat)) as trunks:
            for place, found in result_cache.scores(self._done, self._model, trunks, flat, window=self._window):
                scored[place] = found
                if place in firsts:
                    progress(firsts[place])
        found = [
            score_normalization.all_normalised(
                seen(self._model, question), [scored[begin + more] for more in range(len(questions))], some
            )
            for (question, _), questions, some, begin in zip(asked, several, wanted, firsts, strict=False)
        ]
        for (question, _), by_norm, begin in zip(asked, found, firsts, strict=True):
            self._tell_alike(question, by_norm[self.norm], scored[begin])
        return found

    def _wanted(self, question: "Question", text: object) -> tuple[str, ...]:
        """The norms that a question is scored by."""
        from lmkit.prompting.multiple_choice import has_text

        return tuple(norm for norm in self._norms if norm not in self._spared or has_text(question, text))

    @contextmanager
    def _hands(self, questions: int) -> Iterator[Sequence[Any]]:
        """Trunks for so many questions: a thread for each, or of few questions one, whose products threads share."""
        from lmkit.inference import thread_pool

        hands = len(self._trunks)
        if questions < FEW * hands:
            yield self._trunks[:1]
            return
        try:
            thread_pool.use(1)
            yield self._trunks
        finally:
            thread_pool.use(hands)

    def chosen(
        self, asked: "Sequence[tuple[Question, object]]", progress: Callable[[int], None] = lambda _place: None
    ) -> list[int]:
        """Which candidate each question is answered by; see `scores`."""
        return [self.best(by_norm) for by_norm in self.scores(asked, progress)]

    def best(self, by_norm: Mapping[str, Sequence[float]]) -> int:
        """Which candidate is chosen by its scores."""
        return best(by_norm[self.norm])

    def _tell_alike(self, question: "Question", scores: Sequence[float], own: "Scored") -> None:
        """Says once that answers are the same to the model, or that the first of equals is chosen."""
        if self._told_alike:
            return
        place = f"{question.place}: " if question.place else ""
        listed = _listed([one for one, size in zip(question.candidates, own.tokens, strict=True) if not size])
        said = None
        if self._same_tokens(question, own):
            said = f"candidates {_listed(question.candidates)} are the same to the model"
        elif listed:
            said = f"candidates {listed} have no token of their own to be scored by"
        if said is not None:
            glued = question.before[-1:].strip() and not question.joint[:1].isspace()
            said += f"; {self._parting} parts them from the prompt" if glued else ""
        else:
            highest = max(scores)
            alike = [one for one, value in zip(question.candidates, scores, strict=True) if value == highest]
            if len(alike) > 1:
                said = f"{_listed(alike)} score the same, of which the first is the answer"
        if said is not None:
            self._told_alike = True
            self._run.terminal.notice(place + said)

    def _same_tokens(self, question: "Question", own: "Scored") -> bool:
        """Whether all candidates become the same tokens, looked at where they score alike."""
        from lmkit.prompting.candidate_scoring import part

        if len(own.nats) < 2 or len(set(zip(own.nats, own.tokens, strict=True))) > 1:
            return False
        first, *others = [ending.tolist() for ending in part(self._model, question).endings]
        return all(other == first for other in others)

    def _tell_lines(self, questions: "Sequence[Question]") -> None:
        """Says once that a model sees the answer's line alone."""
        from lmkit.prompting.candidate_scoring import reads_lines

        several = any("\n" in question.before + question.after for question in questions)
        if several and not self._told and reads_lines(self._model):
            self._told = True
            self._run.terminal.notice(
                "the model reads each line by itself: of a prompt it sees the line that the answer is in"
            )


def _listed(candidates: Sequence[str]) -> str:
    return ", ".join(map(repr, candidates[:5]))
