"""Options of filters, penalties and Mirostat: what goes together, and the objects that they ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmkit.commands.options import generation as own
from lmkit.commands.options.standard import (
    Epsilon,
    Eta,
    FilterOrder,
    FrequencyPenalty,
    MinP,
    MirostatRate,
    MirostatTarget,
    NoRepeatNgram,
    PenaltyScope,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    Typical,
)
from lmkit.errors import UsageError

if TYPE_CHECKING:  # numpy is not needed to find out that options don't go together
    from lmkit.generation.filter_chain import Filtering
    from lmkit.generation.mirostat import Mirostat
    from lmkit.generation.penalties import NoRepeat, Presence, Repetition, Scope
    from lmkit.generation.sampler import Sampler

RATE = 0.1  # of Mirostat, as in its paper


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """The options of filters."""

    temperature: Temperature = 1.0
    top_k: TopK = 0
    top_p: TopP = 1.0
    min_p: MinP = 0.0
    typical: Typical = 1.0
    epsilon: Epsilon = 0.0
    eta: Eta = 0.0
    order: FilterOrder = None

    @property
    def filtering(self) -> "Filtering":
        """The filters that are asked for."""
        from lmkit.generation.filter_chain import Filtering

        return Filtering(
            self.temperature, self.top_k, self.top_p, self.min_p, self.typical, self.epsilon, self.eta, self.order
        )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(FilterOptions):
    """The options that say how tokens are chosen."""

    greedy: own.Greedy = False
    ancestral: own.Ancestral = False
    repetition_penalty: RepetitionPenalty = 1.0
    presence_penalty: PresencePenalty = 0.0
    frequency_penalty: FrequencyPenalty = 0.0
    no_repeat_ngram: NoRepeatNgram = 0
    penalty_scope: PenaltyScope = None
    mirostat: MirostatTarget = None
    mirostat_rate: MirostatRate = None
    unknown: own.Unknown = False

    def check(self) -> None:
        """Raises UsageError for options that do not go together."""
        cuts = ("top_k", "top_p", "min_p", "typical", "epsilon", "eta")
        penalties = ("repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram")
        self._apart("greedy", ["ancestral", "temperature", *cuts, "mirostat"])
        self._apart("ancestral", ["temperature", *cuts, *penalties, "mirostat"])
        self._apart("mirostat", cuts)
        if self.mirostat is not None and self.temperature == 0:
            raise UsageError("--mirostat and --temperature 0, which leaves one token, do not go together")
        if self.mirostat is None and self.mirostat_rate is not None:
            raise UsageError("--mirostat-rate does nothing without --mirostat")
        if self.repetition_penalty <= 0:
            raise UsageError("--repetition-penalty must be above 0")
        if self.penalty_scope is not None and not any(map(self._typed, penalties)):
            raise UsageError("--penalty-scope does nothing without a penalty")
        self._scope()
        _ = self.filtering.names  # an order that is none is told before a model is opened

    def drawing(self) -> dict[str, bool]:
        """Options that are about draws, and whether each was typed."""
        names = (
            "greedy", "ancestral", "temperature", "top_p", "min_p", "typical", "epsilon", "eta", "order", "mirostat",
        )  # fmt: skip
        return {f"--{name.replace('_', '-')}": self._typed(name) for name in names}

    def _typed(self, name: str) -> bool:
        return bool(getattr(self, name) != getattr(SamplingOptions, name))

    def _apart(self, name: str, others: Sequence[str]) -> None:
        typed = [f"--{each.replace('_', '-')}" for each in [name, *others] if self._typed(each)]
        if self._typed(name) and len(typed) > 1:
            raise UsageError(f"{' and '.join(typed)} do not go together")

    def _scope(self) -> "Scope":
        scope = self.penalty_scope or "all"
        if scope == "all":
            return "all"
        if scope == "output":
            return "output"
        if not (scope.isascii() and scope.isdigit() and 0 < int(scope[:10]) < 10**9):
            raise UsageError(f"--penalty-scope {scope!r} is not `all`, `output` or a number of tokens")
        return int(scope)

    def penalties(self) -> "list[Repetition | Presence | NoRepeat]":
        """Those that are asked for, in the order in which they are applied."""
        from lmkit.generation.penalties import NoRepeat, Presence, Repetition

        scope = self._scope()
        penalties: list[Repetition | Presence | NoRepeat] = []
        if self.repetition_penalty != 1:
            penalties.append(Repetition(self.repetition_penalty, scope))
        if self.presence_penalty or self.frequency_penalty:
            penalties.append(Presence(self.presence_penalty, self.frequency_penalty, scope))
        if self.no_repeat_ngram:
            penalties.append(NoRepeat(self.no_repeat_ngram, scope))
        return penalties

    def chooser(self, never: Sequence[int]) -> "Sampler":
        """What names the next token. Raises UsageError for an order that is none."""
        from lmkit.generation.sampler import Sampler

        greedy = self.greedy or self.temperature == 0
        return Sampler(self.filtering.chain(), never=never, penalties=self.penalties(), greedy=greedy)

    def control(self) -> "Mirostat | None":
        """What holds one text's surprise, if asked for: each text needs its own."""
        from lmkit.generation.mirostat import Mirostat

        if self.mirostat is None:
            return None
        return Mirostat(self.mirostat, RATE if self.mirostat_rate is None else self.mirostat_rate)
