"""Regular expressions that find answers in texts: the options, and what is wrong with one."""

import re
from typing import Annotated

import typer

from lmkit.errors import UsageError

Extract = Annotated[
    str | None,
    typer.Option(
        "--extract", metavar="PATTERN", show_default="the whole text",
        help="Regular expression of Python; the first group that matched, or else all that did, is the answer.",
    ),
]  # fmt: skip
Numbers = Annotated[
    bool, typer.Option("--numbers", help="Compare the last number of each: 1,000, $1000 and 1000.0 are the same.")
]


def compiled(pattern: str | None) -> re.Pattern[str] | None:
    """A regular expression. Raises UsageError, which says where it is wrong."""
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at character {place + 1}"
        said = getattr(error, "msg", None) or str(error)
        raise UsageError(f"--extract {pattern!r} is no regular expression: {said}{where}") from None
