"""Regular expressions that find answers in texts: the options, and their errors."""

from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.errors import DataError, UsageError
from lmkit.isolation import LimitError

if TYPE_CHECKING:
    from lmkit.metrics.answer_extraction import Extractor

Extract = Annotated[
    str | None,
    typer.Option(
        "--extract", metavar="PATTERN", show_default="the whole text",
        help="Python regular expression that finds the answer: the first group that matched, else the whole match.",
    ),
]  # fmt: skip
Numbers = Annotated[
    bool, typer.Option("--numbers", help="Compare the last number of each text: 1,000, $1000 and 1000.0 are equal.")
]


def extractor(pattern: str | None, *, last: bool = False) -> "Extractor":
    """What finds answers by --extract. Raises UsageError, which says where the expression is wrong, and LimitError."""
    from lmkit.metrics.answer_extraction import Extractor, LimitedExtractor

    if pattern is None:
        return Extractor(last=last)
    try:
        return LimitedExtractor(pattern, last=last)
    except LimitError as error:
        raise LimitError(f"--extract: {error}") from None
    except DataError as error:
        raise UsageError(f"--extract {pattern!r} is not a regular expression: {error}") from None
