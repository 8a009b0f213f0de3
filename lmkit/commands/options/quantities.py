"""Numbers of parameters, tokens and FLOPs as people write them: `70e9`, `70B` or `1.4T`."""

import math
import re
from typing import Annotated

import typer

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?([kMBGT]?)", re.IGNORECASE)
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
LARGEST = 1e38


def quantity(text: object) -> float:
    """Return a positive number, with k, M, B (or G) and T for 1e3 to 1e12. Raises typer.BadParameter."""
    found = _QUANTITY.fullmatch(str(text).strip())
    number = float(found[1] + (found[2] or "")) if found else math.nan
    value = number * _PREFIXES[found[3].lower()] if found else math.nan
    if not 0 < value <= LARGEST:
        raise typer.BadParameter(f"{str(text)[:40]!r} is not a positive number such as 70e9, 70B or 1.4T.")
    return value


def quantities(text: str) -> list[float]:
    """Return comma-separated quantities. Raises typer.BadParameter."""
    return [quantity(part) for part in text.split(",")]


Parameters = Annotated[
    float | None,
    typer.Option(
        "--params", metavar="N", parser=quantity, show_default=False,
        help="Number of parameters, such as `70e9` or `70B`.",
    ),
]  # fmt: skip
TokenCount = Annotated[
    float | None,
    typer.Option(
        "--tokens", metavar="D", parser=quantity, show_default=False,
        help="Number of training tokens, such as `1.4e12` or `1.4T`.",
    ),
]  # fmt: skip
Flops = Annotated[
    float | None,
    typer.Option(
        "--flops", metavar="F", parser=quantity, show_default=False,
        help="Training compute: floating-point operations in all, such as `5.88e23`.",
    ),
]  # fmt: skip
Factor = Annotated[
    float,
    typer.Option(
        "--factor", metavar="K", parser=quantity, help="FLOPs of training for each parameter and token: F = K N D."
    ),
]
