"""Help as a terminal shows it: the parser's own text, its headings in their style, as wide as `COLUMNS` says."""

import re
import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from lmkit.io.terminal import columns_asked, has_colours, styled

_HEADING = re.compile(r"^[A-Z][^\n:]*(?=:(?: |$))|(?<=^  )Examples?(?=:$)", re.MULTILINE)
"""The usage and titles of sections, which begin lines, and those of examples."""


def settings() -> dict[str, Any]:
    """Settings of the parser for the terminal that help is written to."""
    asked = columns_asked()
    return {"color": has_colours(sys.stdout), **({"max_content_width": asked} if asked is not None else {})}


def with_headings(text: str) -> str:
    """A help text, its headings in their style where stdout has colours."""
    return _HEADING.sub(lambda found: styled(found[0], "heading", sys.stdout), text)


class HelpCommand(TyperCommand):
    """A command whose help has styles."""

    def get_help(self, ctx: Any) -> str:
        """Return the help text."""
        return with_headings(super().get_help(ctx))


class HelpGroup(TyperGroup):
    """A group of commands whose help has styles."""

    def get_help(self, ctx: Any) -> str:
        """Return the help text."""
        return with_headings(super().get_help(ctx))
