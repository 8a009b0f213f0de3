"""Manual pages as plain text: the requests of man(7) and tbl that lmkit's own pages use. Opens no file."""

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from textwrap import wrap

WIDTH = 78
INDENT = 7  # columns before running text, as man(1) has it
_NAMED = {"-": "-", "(aq": "'", "(ga": "`", "(ha": "^", "(ti": "~", "(bu": "•", "e": "\\", "&": ""}
_ESCAPE = re.compile(r"\\(?:f[BRI]|\[u([0-9A-F]{4,6})\]|(-|e|&|\(..))")


def plain_text(source: str, *, width: int = WIDTH) -> str:
    """A page's text, its lines at most `width` columns wide, but for kept lines and tables' words."""
    lines = _Page(width).lines(iter(source.splitlines()))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def unescaped(text: str) -> str:
    """Text of a source line: fonts dropped, escapes as what they stand for."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _NAMED.get(found[2] or "&", ""), text)


class _Page:
    """What is between requests: the indent, the tag that waits for its text, and the words of a paragraph."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._indent, self._hanging = INDENT, 0
        self._tag: str | None = None
        self._words: list[str] = []

    def lines(self, source: Iterator[str]) -> Iterator[str]:
        """The lines of a page."""
        for line in source:
            request, _, rest = line.partition(" ")
            if not line.startswith((".", "'")) or request == ".BR":
                self._words.append(unescaped(_reference(rest) if request == ".BR" else line))
                continue
            yield from self._paragraph()
            yield from self._request(request, rest, source)
        yield from self._paragraph()

    def _request(self, request: str, rest: str, source: Iterator[str]) -> Iterator[str]:
        if request in (".SH", ".SS"):
            self._hanging = 0
            yield from ("", ("" if request == ".SH" else "   ") + unescaped(rest))
        elif request in (".PP", ".sp"):
            self._hanging = 0
            yield ""
        elif request in (".TP", ".IP"):
            self._hanging = 7 if request == ".TP" else 2
            self._tag = unescaped(next(source, "") if request == ".TP" else rest.rpartition(" ")[0])
            if request == ".TP":
                yield ""
        elif request in (".RS", ".RE"):
            self._indent += 4 if request == ".RS" else -4
        elif request == ".EX":
            for line in iter(lambda: next(source, ".EE"), ".EE"):
                yield " " * (self._indent + self._hanging) + unescaped(line)
        elif request == ".TS":
            yield from self._table(iter(lambda: next(source, ".TE"), ".TE"))

    def _paragraph(self) -> Iterator[str]:
        """The collected words, filled; a tag on their first line where it fits before them, else on its own."""
        tag, text = self._tag, " ".join(self._words)
        self._tag, self._words = None, []
        margin = " " * (self._indent + self._hanging)
        first = margin
        if tag is not None:
            first = " " * self._indent + tag
            if len(tag) < self._hanging:
                first = first.ljust(len(margin))
            else:
                yield first
                first = margin
        if text or tag is not None:
            yield from wrap(
                text, self._width, initial_indent=first, subsequent_indent=margin,
                break_long_words=False, break_on_hyphens=False,
            ) or ([first.rstrip()] if first.strip() else [])  # fmt: skip

    def _table(self, source: Iterator[str]) -> Iterator[str]:
        """A table's rows: columns as wide as their cells, the last filled into what is left."""
        for line in source:  # the layout ends with a full stop
            if line.endswith("."):
                break
        rows = list(_rows(source))
        room = self._width - self._indent
        needed = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
        most = min(28, (room - 20) // max(1, len(needed) - 1) - 2)
        widths = [min(most, width) for width in needed]
        widths[-1] = room - sum(width + 2 for width in widths[:-1])
        for row in rows:
            cells = [wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=False)]
            for parts in zip_longest(*cells, fillvalue=""):
                shown = "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=False))
                yield " " * self._indent + shown.rstrip()


def _reference(text: str) -> str:
    """`NAME (7),` of a .BR request: `NAME(7),`."""
    return text.replace(" ", "", 1)


def _rows(source: Iterable[str]) -> Iterator[list[str]]:
    """A table's rows of cells; those of several lines stand between T{ and T}."""
    row: list[str] = [""]
    within = False
    for line in source:
        if not within:
            row = [""]
        else:
            closing, tab, after = line.partition("\t")
            if closing == "T}":
                within = False
                line = tab + after
            else:
                row[-1] = f"{row[-1]} {unescaped(line)}".strip()
                continue
        first, *others = line.split("\t")
        row[-1] += unescaped(first)
        row += [unescaped(cell) for cell in others]
        if row[-1] == "T{":
            row[-1] = ""
            within = True
        else:
            yield row
