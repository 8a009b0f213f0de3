"""man(7) source from plain text: escapes, fonts, paragraphs, lists and blocks."""

import re
from collections.abc import Iterable
from itertools import groupby
from textwrap import dedent

from lmkit import __version__
from lmkit.manual import MARK

EDITION = "2026-11-21"  # at the foot of each page; moves with the version


def heading(name: str, section: int, summary: str, *, preprocessor: str = "") -> list[str]:
    """The first lines of a page; `preprocessor`: the letters of those that it needs, such as t for tbl."""
    return [
        *([rf"'\" {preprocessor}"] if preprocessor else []),
        rf".\" {MARK}",
        f'.TH {name.upper()} {section} {EDITION} "lmkit {__version__}" "lmkit manual"',
        *(".ad l", ".nh"),
        *(".SH NAME", rf"{plain(name)} \- {inline(summary)}"),
    ]


def see_also(pages: Iterable[tuple[str, int]]) -> list[str]:
    """The last section: names of pages and their sections."""
    return [".SH SEE ALSO", ",\n".join(f".BR {plain(name)} ({section})" for name, section in pages), ""]


def tagged(entries: Iterable[tuple[str, str]]) -> Iterable[str]:
    """A list of tags, ready as they are, with plain texts."""
    for tag, text in entries:
        yield from (".TP", tag, inline(text.strip()))


def paragraphs(text: str) -> Iterable[str]:
    """Plain text as filled paragraphs; lists and indented lines keep their lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        if number:
            yield ".PP"
        for kept, lines in groupby(paragraph.split("\n"), lambda line: bool(re.match(r"\s|[-*] |\d+\. ", line))):
            part = "\n".join(lines)
            yield from block(dedent(part)) if kept else [inline(part)]


def block(text: str) -> list[str]:
    """Text whose lines are kept, such as commands."""
    return [".RS 4", ".EX", guarded(plain(text)), ".EE", ".RE"]


def inline(text: str) -> str:
    """Running text; options, and text in backticks, in bold."""
    pieces = re.split(r"(`[^`]+`|(?<![\w-])--?[A-Za-z][\w-]*)", text)
    return guarded("".join(bold(p.strip("`")) if odd % 2 else escaped(p) for odd, p in enumerate(pieces)))


def bold(text: str) -> str:
    """Text to be typed."""
    return rf"\fB{plain(text)}\fR"


def italic(metavar: str) -> str:
    """A metavar: its capitals in italics, its brackets not."""
    return re.sub(r"[A-Z][A-Z0-9_]*", r"\\fI\g<0>\\fR", plain(metavar))


def plain(text: str) -> str:
    """Text to be taken as typed, such as commands: no character becomes a prettier one."""
    as_typed: dict[str, str | int | None] = {"-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
    return escaped(text).translate(str.maketrans(as_typed))


def escaped(text: str) -> str:
    """Text in which no character means something to roff; what is not ASCII by its number."""
    return re.sub(r"[^\0-\x7f]", lambda found: rf"\[u{ord(found[0]):04X}]", text.replace("\\", r"\e"))


def guarded(text: str) -> str:
    """No line of the text is taken for a request, whatever it starts with."""
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)
