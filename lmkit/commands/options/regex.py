"""Regular expressions that find answers in texts: the options, and what is wrong with one."""

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
        help="Regular expression of Python; the first group that matched, or else all that did, is the answer.",
    ),
]  # fmt: skip
Numbers = Annotated[
    bool, typer.Option("--numbers", help="Compare the last number of each: 1,000, $1000 and 1000.0 are the same.")
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
        raise UsageError(f"--extract {pattern!r} is no regular expression: {error}") from None
