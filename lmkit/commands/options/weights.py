"""Named weights such as `train=0.9,test=0.1`, as several commands take them."""

import math
from collections.abc import Sequence
from pathlib import PurePath

from lmkit.errors import UsageError


def named_weights(text: str, option: str) -> dict[str, float]:
    """Return the weights by their names, in order.

    Raises UsageError for what is no list of them, a name given twice, a negative number, and weights that are all
    zero.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.rpartition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"{option} {text!r}: {part!r} is not NAME=NUMBER", hint=f"{option} a=0.6,b=0.4")
        if name in found:
            raise UsageError(f"{option} {text!r} names {name!r} twice")
        found[name] = _number(number, part, option)
    if not any(found.values()):
        raise UsageError(f"{option} {text!r}: all weights are zero")
    return found


def _number(text: str, part: str, option: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UsageError(f"{option}: {part!r} has no number behind `=`") from None
    if not math.isfinite(number) or number < 0 or number > 1e30:
        raise UsageError(f"{option}: {part!r} is not a number from 0 on")
    return number


def shares_of(weights: dict[str, float]) -> tuple[dict[str, float], float]:
    """Return the weights divided by their sum, and that sum."""
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}, total


def task_weights(names: Sequence[str], weights: str | None) -> list[float]:
    """Return the weight of each file, none where size decides. Raises UsageError for others than the files."""
    if weights is None:
        return []
    given = named_weights(weights, "--weights")
    tasks = [PurePath(name).name.partition(".")[0] for name in names]
    if len(set(tasks)) < len(tasks):
        raise UsageError("--weights names tasks by their files, two of which have one name")
    wrong = sorted({*given} ^ {*tasks})
    if wrong:
        raise UsageError(f"--weights {weights!r}: expected a weight for each of {', '.join(tasks)}, got {wrong[0]!r}")
    return [given[task] for task in tasks]
