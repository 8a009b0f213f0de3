"""Beam search: the most probable texts found when only so many unfinished ones are kept at each step. Knows no file.

    score = nats / length ** alpha        length: tokens, the one that ends the text included

At each step all continuations of the N unfinished texts are ranked by nats. Those among the best N that end
are finished; the best N that do not end are continued. A text ends by the token for that (`eos`), by a stop string,
or by its length; all three compete by score alone, as they are what drawing at most so many tokens can give.
The search is over when no unfinished text can reach the finished ones that are asked for (Huang, Zhao and
Ma 2017), so that the result is the one of a search to the end; or, with patience, when so many have ended
(Kasai et al. 2022). Equal scores: lower ids first; sums are float64, token after token.

Diverse beam search (Vijayakumar et al. 2018): groups of equal width choose one after another; a token that
groups before have chosen at this step counts `diversity` nats less for each time, in this choice only.

Where models round several steps at once otherwise than single ones, whatever depends on it is settled by
single steps: the texts found are those that these give, and depend on nothing else that is run.

Shapes: R rows, B texts, V vocabulary.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from lmkit.data.sequences import decode_text
from lmkit.errors import DataError, UsageError
from lmkit.generation import batching
from lmkit.generation.beam_hypotheses import Exact, Hypothesis, doubtful, leading
from lmkit.generation.beam_scores import BeamScorer, Group
from lmkit.generation.beam_shortlists import (
    Continuations,
    Leaders,
    Ranking,
    complete,
    in_reach,
    shortlist,
)
from lmkit.generation.engine import Completion, Failed, Request
from lmkit.generation.prompt_encoding import ends_of
from lmkit.generation.sampler import Penalty, Position
from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.protocols import F64, I64, Bool, Floats, LanguageModel

MOST = 1 << 27  # continuations ranked at once
TOGETHER = 64  # searches that advance together, at most
NUMBERS = 1 << 22  # log-probabilities that these have at each step
MARGIN = 4.0  # errors by which a continuation may be ranked wrongly: twice that of each of two


@dataclass(frozen=True)
class Beams:
    """The width and purpose of a search. Raises UsageError for impossible combinations."""

    width: int
    number: int = 1
    """How many texts, at most `width`."""
    alpha: float = 0.0
    groups: int = 1
    diversity: float = 0.0
    keep_greedy: bool = False
    """Whether the greedy text competes too, so that none is worse."""
    patience: float = 0.0
    """A search is over when `patience` times `width` texts have ended; 0: when no other can be better."""

    def __post_init__(self) -> None:
        if self.number > self.width:
            raise UsageError(
                f"-n {self.number} is more than --beam {self.width}", hint="--beam N finds at most N texts"
            )
        if self.width % self.groups:
            raise UsageError(f"--beam {self.width} cannot be divided into {self.groups} equal groups")


class Kept(NamedTuple):
    """What a step kept: of which group, its tokens, nats, and why it ended if it did."""

    group: int
    tokens: list[int]
    nats: float
    reason: str


@dataclass(frozen=True)
class Found(Completion):
    """A text found."""

    alpha: float = 0.0
    searched: float | None = None
    """Nats that it was found by, where these are not the model's own."""
    greedy: "Found | None" = None
    """The greedy text, where it is better than all that were found."""

    def score(self, model: LanguageModel) -> float:
        """nats / length ** alpha."""
        nats = self.nats(model) if self.searched is None else self.searched
        return nats / float((len(self.ids) + len(self.closing)) ** self.alpha)


class BeamSearch:
    """Finds texts after prompts; stops as for `Generator`. `early` says whether a search ends when it is decided."""

    def __init__(
        self, model: LanguageModel, beams: Beams, *, most: int, stops: Sequence[bytes] = (), never: Sequence[int] = (),
        penalties: Sequence[Penalty] = (), explain: bool = False, early: bool = True,
    ) -> None:  # fmt: skip
        size = model.tokenizer.size
        if beams.width * size > MOST:
            raise UsageError(f"--beam {beams.width} is too wide for {size} tokens", hint=f"use at most {MOST // size}")
        self.model, self.beams, self.most, self.stops = model, beams, most, stops
        self.never, self.penalties, self.explain, self.early = list(never), penalties, explain, early

    def run(self, requests: Iterable[Request | Failed]) -> Iterator[Found | Failed]:
        """The texts of each request, best first; several searches advance together.

        Raises DataError where nothing can follow.
        """
        waiting = iter(requests)
        most = max(1, min(TOGETHER, NUMBERS // ((self.beams.width + 1) * self.model.tokenizer.size)))
        while some := list(islice(waiting, most)):
            searches = [each if isinstance(each, Failed) else _Search(self, each) for each in some]
            self._advance([each for each in searches if isinstance(each, _Search)])
            for each in searches:
                if isinstance(each, Failed):
                    yield each
                else:
                    yield from each.results()

    def _advance(self, searches: list["_Search"]) -> None:
        """Take all steps of several searches, whose rows lie one search's behind another's."""
        states = [search.request.state for search in searches]
        exact = self.explain or bool(self.penalties)  # these show or change numbers, which are to be exact
        rows = batching.StateRows(self.model, states) if exact else batching.rows_of(self.model, states)
        counts = [1] * len(searches)
        going = [search for search in searches if not search.over()]
        while going:
            places: list[int] = []
            tokens: list[int] = []
            begin = 0
            made = []
            following = self._following(going, counts, rows.next(), exact=exact)
            for search, given, count in zip(going, following, counts, strict=True):
                own = search.step(given) if isinstance(given, Continuations) else given
                places += [begin + row for row, _ in own]
                tokens += [token for _, token in own]
                begin += count
                made.append(len(own))
            over = [search.over() for search in going]
            counts = [count for count, end in zip(made, over, strict=True) if not end]
            going = [search for search, end in zip(going, over, strict=True) if not end]
            ends = np.repeat(over, made).tolist()
            places = [place for place, end in zip(places, ends, strict=True) if not end]
            tokens = [token for token, end in zip(tokens, ends, strict=True) if not end]
            if places:
                rows.take(places)
                rows.advance(tokens)

    def _following(
        self, searches: Sequence["_Search"], counts: Sequence[int], logs: Floats, *, exact: bool
    ) -> Iterator["Continuations | list[tuple[int, int]]"]:
        """What may follow the rows of each search, given the log-probabilities (R, V) of all rows.

        Where it is plain what a search keeps, the step is taken, and its next rows are given instead.
        """
        errors = np.zeros(len(logs)) if exact else batching.errors(self.model, logs)
        logs[:, self.never] = -np.inf
        beams = self.beams
        sure = 2 * (beams.width // beams.groups)
        needed = sure + (beams.width if beams.groups > 1 and beams.diversity else 0)
        if self.penalties or logs.shape[1] <= needed:
            begin = 0
            for count in counts:
                some = slice(begin, begin + count)
                yield complete(logs[some], errors[some])
                begin += count
            return
        worst = np.repeat([search.worst_error() for search in searches], counts)
        reach = in_reach(logs, needed, MARGIN * (worst + errors.max(initial=0.0)))
        plain = beams.groups == 1 and not self.stops and not self.explain
        leaders = Leaders.of(logs, reach, [search.row_nats() for search in searches]) if plain else None
        begin = 0
        for number, (search, count) in enumerate(zip(searches, counts, strict=True)):
            some = slice(begin, begin + count)
            found = None if leaders is None else search.plain_step(leaders.own(number), errors[some].tolist())
            yield shortlist(logs[some], reach[some], errors[some], sure) if found is None else found
            begin += count


class _Search:
    """One search."""

    def __init__(self, asked: BeamSearch, request: Request) -> None:
        if request.constraint is not None:
            raise UsageError("beam search cannot be combined with constraints", hint="use sampling or --greedy")
        self._asked, self.request = asked, request
        model, beams = asked.model, asked.beams
        self._ends = ends_of(model.form)
        self._exact = Exact(model, asked.never)
        self._single = asked.explain or bool(asked.penalties)
        width = beams.width // beams.groups
        kept = beams.number if beams.groups == 1 else width
        self._groups = [Group(width, kept, [self._root()]) for _ in range(beams.groups)]
        self._greedy = Group(1, 1, [self._root()], greedy=True)
        self._worth = BeamScorer(beams.alpha, asked.most, self._exact, beams.patience)
        self._trace: list[list[Kept]] = []
        self._length = 0

    def _root(self) -> Hypothesis:
        transcript = StopStringMatcher(self._asked.model.tokenizer, self._asked.model.form, self._asked.stops)
        text = transcript if self._asked.stops else None
        return Hypothesis(None, -1, 0, 0.0, 0.0, transcript=text, state=self.request.state)

    # Steps.

    def over(self) -> bool:
        """Whether nothing more is to be found."""
        every = [*self._groups, self._greedy]
        if not any(group.live for group in every):
            return True
        return self._asked.early and all(map(self._worth.decided, self._groups)) and self._greedy_decided()

    def _greedy_decided(self) -> bool:
        """Whether the greedy text has ended, or no longer matters."""
        if self._asked.beams.keep_greedy or not self._greedy.live:
            return not self._greedy.live
        best = self._worth.best(text for group in self._groups for text in group.ended)
        return all(self._worth.bound(text) < best for text in self._greedy.live)

    def worst_error(self) -> float:
        """How far the nats of an unfinished text may be off, at most."""
        return max((text.error for group in (*self._groups, self._greedy) for text in group.live), default=0.0)

    def row_nats(self) -> list[float]:
        """The nats of the text of each row."""
        texts = {text.row: text.nats for group in (*self._groups, self._greedy) for text in group.live}
        return [texts[row] for row in range(len(texts))]

    def plain_step(self, leaders: Ranking, errors: Sequence[float]) -> list[tuple[int, int]] | None:
        """As `step`, given what follows the rows, (R,), best first; None, and nothing is changed, where it is in doubt.

        For one group without stop strings, whose rows are the first ones, in order.
        """
        (group,), length = self._groups, self._length + 1
        if length == self._asked.most or not group.live:
            return None
        doubt = 2 * max(errors[text.row] + text.error for text in (*group.live, *self._greedy.live))
        kept = leaders.kept(len(group.live), group.width, self._ends, doubt)
        greedy = None
        if self._greedy.live:
            row = self._greedy.live[0].row
            greedy, ahead = leaders.best_of(row)
            if not ahead > 2 * errors[row]:
                return None
        if kept is None:
            return None
        self._length = length
        live = group.live
        made = [
            (one, self._made(live[one.row], one.token, one.nats, errors[one.row] + live[one.row].error)) for one in kept
        ]
        group.live = [text for _, text in sorted(made, key=lambda item: item[0][:2]) if not text.reason]
        group.end([text for _, text in made if text.reason])
        self._worth.prune(group)
        if greedy is not None:
            before = self._greedy.live[0]
            text = self._made(before, greedy.token, greedy.nats, before.error + errors[before.row])
            self._greedy.live, self._greedy.ended = ([], [text]) if text.reason else ([text], [])
        return self._next_rows()

    def step(self, given: Continuations) -> list[tuple[int, int]]:
        """Take a step, given what may follow each row.

        Returns the next rows: each continues one of these with a token.
        """
        if self._asked.penalties:
            given = complete(self._penalised(given.logs), given.errors)
        self._length += 1
        taken: Counter[int] = Counter()
        kept: list[Kept] = []
        for number, group in enumerate(self._groups):
            for made in self._advance(group, given, taken):
                taken[made.token] += 1
                kept += [Kept(number, made.tokens(), made.nats, made.reason)] if self._asked.explain else []
        if kept:
            self._trace.append(kept)
        self._advance(self._greedy, given, Counter())
        return self._next_rows()

    def _penalised(self, logs: F64) -> F64:
        """Log-probabilities and penalties in them, (R, V)."""
        standing = {text.row: text for group in (*self._groups, self._greedy) for text in group.live}
        places = [
            Position(self.request.stream, self.request.prompt, standing[row].tokens()) for row in range(len(logs))
        ]
        before = _masses(logs)
        for penalty in self._asked.penalties:
            logs = penalty(logs, places).astype(np.float64)
        shift = before - _masses(logs)  # the mass stays what it was, so that no sum ever rises
        return logs + np.where(np.isfinite(shift), shift, 0.0)

    def _next_rows(self) -> list[tuple[int, int]]:
        """The rows of the texts that are kept; equal texts of several groups share one."""
        places: dict[tuple[int, int], int] = {}
        for group in (*self._groups, self._greedy):
            for text in group.live:
                assert text.before is not None
                text.row = places.setdefault((text.before.row, text.token), len(places))
        return list(places)

    def _advance(self, group: Group, given: Continuations, taken: Counter[int]) -> list[Hypothesis]:
        """A group's next step: what it keeps, best first, those that end among it."""
        live = group.live
        if not live:
            return []
        if group.greedy and (text := self._most_probable(live[0], given)) is not None:
            group.live, group.ended = ([], [text]) if text.reason else ([text], [])
            return [text]
        rows, tokens = [text.row for text in live], given.tokens
        totals = given.logs[rows] + np.array([text.nats for text in live])[:, None]
        errors = given.errors[rows] + np.array([text.error for text in live])
        less = self._less(tokens, taken)
        ranked = totals if less is None else totals - less
        while True:
            found = self._ranked(group, ranked, errors, given)
            if found is None:
                return self._advance(group, given.complete(), taken)
            places, ends = found
            if not errors.any():
                break
            unsure = self._unsure(group, ranked.ravel()[places], errors[places // len(tokens)], ends)
            if not len(unsure):
                break
            for index in set((places[unsure] // len(tokens)).tolist()):
                totals[index] = self._exact.logs(live[index])[tokens] + live[index].nats
                ranked[index] = totals[index] if less is None else totals[index] - less
                errors[index] = 0.0
        made = []
        for place in self._kept(group, places, ends):
            index, column = divmod(place, len(tokens))
            text = self._made(live[index], int(tokens[column]), float(totals[index, column]), float(errors[index]))
            made.append((place, text))
        group.live = [text for _, text in sorted(made, key=itemgetter(0)) if not text.reason]
        group.end([text for _, text in made if text.reason])
        self._worth.prune(group)
        for text in live:
            text.transcript = None  # those that are kept have theirs
        return [text for _, text in made]

    def _most_probable(self, before: Hypothesis, given: Continuations) -> Hypothesis | None:
        """A text and its most probable next token; None where rounding decides which that is."""
        logs, error = given.logs[before.row].copy(), float(given.errors[before.row])
        column = int(logs.argmax())
        best = float(logs[column])
        logs[column] = -np.inf
        if not best - float(logs.max(initial=-np.inf)) > 2 * error or best == -np.inf:
            return None
        return self._made(before, int(given.tokens[column]), before.nats + best, before.error + error)

    def _less(self, tokens: I64, taken: Counter[int]) -> F64 | None:
        """By how much tokens, (C,), count less that groups before have chosen; None: by nothing."""
        if not taken or not self._asked.beams.diversity:
            return None
        diversity = self._asked.beams.diversity
        return np.array([diversity * taken[token] for token in tokens.tolist()])

    def _ranked(self, group: Group, ranked: F64, errors: F64, given: Continuations) -> tuple[Any, Bool] | None:
        """Places of continuations, best first, as many as matter, and which of them end; None: more are needed."""
        size = ranked.shape[1]
        final = self._length == self._asked.most
        count = group.width if final else group.width + len(group.live)
        while True:
            if count > given.sure and not given.is_complete:
                return None
            places, whole = leading(ranked, errors, count)
            if final:
                return places, np.ones(len(places), dtype=np.bool_)
            following = given.tokens[places % size]
            ends = np.zeros(len(places), dtype=np.bool_)
            for end in self._ends:  # few: `np.isin` takes longer
                ends |= following == end
            if self._asked.stops:
                texts = zip((places // size).tolist(), following.tolist(), strict=True)
                ends |= np.array([self._stops(group.live[index], token) for index, token in texts], dtype=np.bool_)
            if (whole and given.is_complete) or np.count_nonzero(~ends[:count]) >= group.width:
                return places, ends
            count *= 2

    def _stops(self, before: Hypothesis, token: int) -> bool:
        """Whether a stop string is complete with a token."""
        assert before.transcript is not None
        return token not in self._ends and before.transcript.branch().add(token)

    def _unsure(self, group: Group, values: F64, errors: F64, ends: Bool) -> Any:
        """Which continuations have to be settled before it is known what is kept."""
        going = np.flatnonzero(~ends)
        clear = 2 * float(errors.max())
        matter = group.greedy or bool(ends.any())
        if _apart(values[going], group.width, clear) and (not matter or _apart(values, group.width, clear)):
            return going[:0]
        found = [going[doubtful(values[going], errors[going], group.width)]]
        among = doubtful(values, errors, group.width)
        if group.greedy or ends[among].any():
            found.append(among)
        places = np.concatenate(found)
        return places[errors[places] > 0]

    @staticmethod
    def _kept(group: Group, places: Any, ends: Bool) -> list[int]:
        """Continuations that end among the best, and the best that do not; best first."""
        chosen: list[int] = []
        going = 0
        for at, (place, end) in enumerate(zip(places.tolist(), ends.tolist(), strict=True)):
            if (at < group.width) if end else (going < group.width and not (group.greedy and at)):
                chosen.append(place)
            going += not end
        return chosen

    def _made(self, before: Hypothesis, token: int, nats: float, error: float) -> Hypothesis:
        """Return the text that continues another with a token."""
        text = Hypothesis(before, token, self._length, nats, error)
        text.transcript = before.transcript
        if token in self._ends:
            text.reason = "eos"
            return text
        if before.transcript is not None:
            text.transcript = before.transcript.branch()
            text.reason = "stop" if text.transcript.add(token) else ""
        if not text.reason and self._length == self._asked.most:
            text.reason = "length"
        return text

    # What is found.

    def results(self) -> list[Found]:
        """The texts, best first. Raises DataError where nothing can follow."""
        beams = self._asked.beams
        chosen = self._in_turn([self._worth.in_order(group.ended)[: group.kept] for group in self._groups])
        greedy = self._greedy.ended
        known = [text.tokens() for text in chosen]
        compared = self._worth.in_order([*chosen, *(text for text in greedy if text.tokens() not in known)])
        if not compared:
            raise DataError("no token can follow: all have probability zero")
        if beams.keep_greedy or not chosen:
            return [self._found(text, rank) for rank, text in enumerate(compared[: beams.number])]
        beaten = self._worth.score(compared[0]) > self._worth.score(chosen[0])
        better = self._found(compared[0]) if beaten else None
        kept = [text for text in compared if text in chosen]
        return [self._found(text, rank, better) for rank, text in enumerate(kept)]

    def _in_turn(self, ranked: list[list[Hypothesis]]) -> list[Hypothesis]:
        """As many as are asked for: each group's best, then each one's second, and so on; each text once."""
        chosen: dict[tuple[int, ...], Hypothesis] = {}
        for place in range(max(map(len, ranked))):
            for text in self._worth.in_order([texts[place] for texts in ranked if place < len(texts)]):
                if len(chosen) < self._asked.beams.number:
                    chosen.setdefault(tuple(text.tokens()), text)
        return list(chosen.values())

    def _found(self, text: Hypothesis, rank: int = 0, greedy: Found | None = None) -> Found:
        model, tokens = self._asked.model, text.tokens()
        closing = tuple(tokens[-1:]) if text.reason == "eos" else ()
        ids = tokens[: len(tokens) - len(closing)]
        spelled = text.transcript.text if text.transcript else decode_text(model.tokenizer, model.form, ids)
        searched = text.nats if self._asked.penalties else None
        return Found(
            self.request, ids, spelled, text.reason, list(self._trace), closing, rank, self._asked.beams.alpha,
            searched, greedy,
        )  # fmt: skip


def _apart(values: F64, cut: int, errors: float) -> bool:
    """Whether those of some values, best first, behind the first `cut` are lower by more than both errors."""
    return len(values) <= cut or bool(values[cut - 1] - values[cut] > errors)


def _masses(logs: F64) -> F64:
    """log sum exp of each row, (R, V) to (R, 1)."""
    highest = logs.max(axis=1, keepdims=True, initial=-np.inf)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        masses: F64 = highest + np.log(np.exp(logs - highest).sum(axis=1, keepdims=True))
    return masses
