"""The choice between answers: a model scores the candidates of many questions, those known before only once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

from lmkit.inference import thread_pool
from lmkit.prompting import result_cache, score_normalization
from lmkit.prompting.candidate_scoring import encode_question, prefix_scorer_of, reads_lines, seen
from lmkit.prompting.multiple_choice import Question, Scored, has_text
from lmkit.prompting.result_cache import ResultCache
from lmkit.protocols import PrefixCache, StoredModel, supports_prefix_cache

FEW = 4
"""Questions for each thread from which on threads work on questions of their own."""


@dataclass(frozen=True)
class Normalization:
    """The normalisation that decides, all whose scores are wanted, and the texts that some compare with."""

    norm: str
    norms: Sequence[str]
    domain: str | None = None
    content_free: Sequence[str] = score_normalization.CONTENT_FREE
    sparing: bool = False
    """Whether `calibrated` is left out, unless it decides, of questions that have no text to replace."""

    def norms_of(self, question: Question, text: object) -> tuple[str, ...]:
        """The normalisations that a question is scored by."""
        spared = ("calibrated",) if self.sparing and self.norm != "calibrated" else ()
        return tuple(norm for norm in self.norms if norm not in spared or has_text(question, text))


class AnswerScorer:
    """Scores questions with a model; what is in the cache is not asked again.

    `notice` takes what the user should hear once; `separator` is what he may put between a prompt and its answers.
    """

    def __init__(
        self, model: StoredModel, normalization: Normalization, cache: ResultCache, *, window: bool,
        notice: Callable[[str], None], separator: str = "a space",
    ) -> None:  # fmt: skip
        self._model, self._cache, self._window = model, cache, window
        self._normalization = normalization
        self._notice, self._separator = notice, separator
        threads = thread_pool.thread_count() if supports_prefix_cache(model) else 1
        self._prefix_scorers = [prefix_scorer_of(model) for _ in range(threads)]
        self._warned_lines = self._warned_ties = False

    @property
    def norm(self) -> str:
        """The normalisation that decides."""
        return self._normalization.norm

    def scores(
        self, asked: Sequence[tuple[Question, object]], progress: Callable[[int], None] = lambda _place: None
    ) -> list[dict[str, list[float]]]:
        """The candidates' scores by each norm, (C,), of questions, each with the text that its item has.

        `progress` gets the place of each question as its own score gets known.
        """
        self._warn_single_line([question for question, _ in asked])
        norms = [self._normalization.norms_of(question, text) for question, text in asked]
        domain, contents = self._normalization.domain, self._normalization.content_free
        several = [
            score_normalization.questions(question, some, domain, contents, text)
            for (question, text), some in zip(asked, norms, strict=True)
        ]
        begins = [0, *accumulate(map(len, several))][: len(several)]
        firsts = {begin: place for place, begin in enumerate(begins)}
        flat = [question for questions in several for question in questions]
        scored: dict[int, Scored] = {}
        with self._per_thread_caches(len(flat)) as scorers:
            for place, one in result_cache.scores(self._cache, self._model, scorers, flat, window=self._window):
                scored[place] = one
                if place in firsts:
                    progress(firsts[place])
        found = [
            score_normalization.all_normalised(
                seen(self._model, question), [scored[begin + more] for more in range(len(questions))], some
            )
            for (question, _), questions, some, begin in zip(asked, several, norms, firsts, strict=False)
        ]
        for (question, _), by_norm, begin in zip(asked, found, firsts, strict=True):
            self._warn_ties(question, by_norm[self.norm], scored[begin])
        return found

    @contextmanager
    def _per_thread_caches(self, questions: int) -> Iterator[Sequence[PrefixCache]]:
        """Prefix caches for so many questions: one for each thread, or of few questions one, whose products share."""
        threads = len(self._prefix_scorers)
        if questions < FEW * threads:
            yield self._prefix_scorers[:1]
            return
        try:
            thread_pool.use(1)
            yield self._prefix_scorers
        finally:
            thread_pool.use(threads)

    def chosen(
        self, asked: Sequence[tuple[Question, object]], progress: Callable[[int], None] = lambda _place: None
    ) -> list[int]:
        """Which candidate each question is answered by; see `scores`."""
        return [self.best(by_norm) for by_norm in self.scores(asked, progress)]

    def best(self, by_norm: Mapping[str, Sequence[float]]) -> int:
        """Which candidate is chosen by its scores."""
        return score_normalization.best(by_norm[self.norm])

    def _warn_ties(self, question: Question, scores: Sequence[float], own: Scored) -> None:
        """Warns once of candidates with the same tokens, or of a tie."""
        if self._warned_ties:
            return
        listed = _listed([one for one, size in zip(question.candidates, own.tokens, strict=True) if not size])
        said = None
        if self._same_tokens(question, own):
            said = f"candidates {_listed(question.candidates)} have the same tokens"
        elif listed:
            said = f"candidates {listed} add no token to the prompt and cannot be scored"
        elif word := self._joined_word(question):
            said = f"the prompt's end and a candidate become one word, {word!r}"
        if said is not None:
            glued = question.before[-1:].strip() and not question.joint[:1].isspace()
            said += f"; hint: separate them from the prompt with {self._separator}" if glued else ""
        else:
            highest = max(scores)
            alike = [one for one, value in zip(question.candidates, scores, strict=True) if value == highest]
            if len(alike) > 1:
                said = f"tie between {_listed(alike)}, using the first"
        if said is not None:
            self._warned_ties = True
            self._notice(f"{question.place}: {said}" if question.place else said)

    def _same_tokens(self, question: Question, own: Scored) -> bool:
        """Whether all candidates become the same tokens, looked at where they score alike."""
        if len(own.nats) < 2 or len(set(zip(own.nats, own.tokens, strict=True))) > 1:
            return False
        first, *others = [ending.tolist() for ending in encode_question(self._model, question).endings]
        return all(other == first for other in others)

    def _joined_word(self, question: Question) -> str:
        """A word that a candidate becomes with the end of its prompt, where words are tokens; empty: none."""
        text = question.before + question.joint
        if not self._model.tokenizer.separator or not text[-1:].isalnum():
            return ""
        return next((text.split()[-1] + one.split()[0] for one in question.candidates if one[:1].isalnum()), "")

    def _warn_single_line(self, questions: Sequence[Question]) -> None:
        """Warns once that the model sees only the answer's line."""
        several = any("\n" in question.before + question.after for question in questions)
        if several and not self._warned_lines and reads_lines(self._model):
            self._warned_lines = True
            self._notice("the model reads single lines: only the line of the answer is used as context")


def _listed(candidates: Sequence[str]) -> str:
    return ", ".join(map(repr, candidates[:5]))
