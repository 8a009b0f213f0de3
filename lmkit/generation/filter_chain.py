"""Filters one after another: which are asked for, in which order. Knows no model and no randomness."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lmkit.errors import UsageError
from lmkit.generation import filters
from lmkit.generation.filters import Candidates, Filter
from lmkit.protocols import Floats

SHORT = {"temp": "temperature"}
"""Other names that an order may have."""


@dataclass(frozen=True)
class Filtering:
    """What is asked of the filters; each is off unless asked for.

    `order` names filters with commas between; those in use must be there. None: the order of the fields.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical: float = 1.0
    epsilon: float = 0.0
    eta: float = 0.0
    order: str | None = None

    @property
    def used(self) -> list[str]:
        """The names of the filters that are on, in their usual order."""
        off = Filtering()
        return [name for name, field in FILTERS.items() if getattr(self, field) != getattr(off, field)]

    @property
    def names(self) -> list[str]:
        """The names in the order in which the filters are applied. Raises UsageError for an order that is none."""
        if self.order is None:
            return self.used
        names = [SHORT.get(name.strip(), name.strip()) for name in self.order.split(",")]
        for name in names:
            if name not in FILTERS:
                raise UsageError(f"--order {self.order!r}: {name!r} is not one of {', '.join(FILTERS)}")
            if names.count(name) > 1:
                raise UsageError(f"--order {self.order!r} names {name} twice")
        for name in self.used:
            if name not in names:
                raise UsageError(f"--order {self.order!r} leaves out {name}, which is asked for")
        return names

    def chain(self) -> "Chain":
        """The filters, ready to be applied. Raises UsageError."""
        return Chain([(name, getattr(self, FILTERS[name])) for name in self.names])


FILTERS: Mapping[str, str] = MappingProxyType(
    {name.replace("_", "-"): name for name in Filtering.__dataclass_fields__ if name != "order"}
)
"""Each filter's name and field, in the order in which they are applied if nothing else is asked for."""
ORDER = ",".join(FILTERS)

_APPLY: Mapping[str, Callable[[Candidates, float], Candidates]] = MappingProxyType(
    {
        "temperature": filters.temperature,
        "top-k": lambda given, k: filters.top_k(given, int(k)),
        "top-p": filters.top_p,
        "min-p": filters.min_p,
        "typical": filters.typical,
        "epsilon": filters.epsilon,
        "eta": filters.eta,
    }
)


class Chain:
    """Filters one after another, each of what the one before left."""

    def __init__(self, steps: Sequence[tuple[str, float]] = ()) -> None:
        self.names = [name for name, _ in steps]
        self._steps = [_step(name, value) for name, value in _swift(steps)]

    def __call__(self, logs: Floats, error: float = 0.0) -> Candidates:
        """What is left of distributions (B, V) whose log-probabilities are wrong by `error` at most."""
        left = Candidates(None, logs, None, error)
        for apply in self._steps:
            left = apply(left)
        return left


def _step(name: str, value: float) -> Filter:
    apply = _APPLY[name]
    return lambda given: apply(given, value)


def _swift(steps: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same filters with less work: the k most probable are the same at any temperature, and fewer to divide."""
    off = Filtering()
    swift = [(name, value) for name, value in steps if value != getattr(off, FILTERS[name])]
    for place in range(len(swift) - 1):
        (first, heat), (second, _) = swift[place : place + 2]
        if (first, second) == ("temperature", "top-k") and heat > 0:
            swift[place : place + 2] = reversed(swift[place : place + 2])
    return swift
