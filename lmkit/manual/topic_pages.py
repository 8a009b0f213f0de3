"""Section 7 of the manual: pages about a subject, from the Markdown files of docs/."""

import re
from collections.abc import Iterable, Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from lmkit.manual.roff import block, bold, escaped, guarded, heading, plain, see_also

_COLUMN = 28  # the widest column, in characters, whose cells are not filled
_PAGE = re.compile(r"(?:\.\./man/|docs/)?(lmkit[\w-]*)\.(?:md|7|1)$")


def topic_page(name: str, text: str, topics: Iterable[str]) -> str:
    """Return the page that a Markdown text makes: its first heading is the summary, its other ones sections.

    Raises ValueError for Markdown that a page has no form for, such as images.
    """
    title, *tokens = MarkdownIt("commonmark").enable("table").parse(text)
    if title.tag != "h1":
        raise ValueError(f"{name}: begins with no heading of the first level")
    summary, tokens = tokens[0].content, tokens[2:]
    lines = heading(name, 7, summary[0].lower() + summary[1:], preprocessor="t")
    lines += [] if tokens[0].tag == "h2" else [".SH DESCRIPTION"]
    related = [("lmkit", 1), *((other, 7) for other in topics if other != name)]
    return "\n".join([*lines, *_rendered(tokens), *see_also(related)])


def _rendered(tokens: Sequence[Token]) -> Iterator[str]:
    """The lines of a page's body. A list's items and a table's rows are runs of tokens between two marks."""
    position = 0
    while position < len(tokens):
        token = tokens[position]
        end = _end(tokens, position)
        inside = tokens[position + 1 : end]
        follows = position > 0 and tokens[position - 1].type != "heading_close"
        match token.type:
            case "heading_open":
                title = inside[0].content
                yield f".SH {plain(title.upper())}" if token.tag == "h2" else f".SS {_spans(inside[0])}"
            case "paragraph_open":
                yield from [".PP"] if follows else []
                yield _spans(inside[0])
            case "fence" | "code_block":
                yield from [".sp"] if follows else []
                yield from block(token.content.rstrip("\n"))
            case "bullet_list_open" | "ordered_list_open":
                yield from _items(inside)
            case "table_open":
                yield from [".sp"] if follows else []
                yield from _table(inside)
            case _:
                raise ValueError(f"a manual page has no form for {token.type}")
        position = end + 1


def _end(tokens: Sequence[Token], begin: int) -> int:
    """Where the token that closes the one at `begin` is; there too if it needs none."""
    depth = 0
    for position in range(begin, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    raise ValueError("a block without an end")


def _items(tokens: Sequence[Token]) -> Iterator[str]:
    position = 0
    while position < len(tokens):
        end = _end(tokens, position)
        mark = f"{tokens[position].info}." if tokens[position].info else r"\(bu"
        yield f".IP {mark} {3 if tokens[position].info else 2}"
        inside = tokens[position + 1 : end]
        yield _spans(inside[1])
        if len(inside) > 3:
            yield ".RS"
            yield from _rendered(inside[3:])
            yield ".RE"
        position = end + 1


def _table(tokens: Sequence[Token]) -> Iterator[str]:
    """A table for tbl(1): a column is as wide as its longest cell, a long one and the last one are filled."""
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    longest = [max(len(cell.content) for cell in column) for column in zip(*rows, strict=True)][:-1]
    filled = [size > _COLUMN for size in longest] + [True]
    formats = [f"lw({_COLUMN}n)" if fill else "l" for fill in filled[:-1]] + ["lx"]
    yield from (".TS", " ".join(["lb"] * len(formats)), " ".join(formats) + ".")
    for row in rows:
        cells = map(_spans, row)
        yield "\t".join(f"T{{\n{cell}\nT}}" if fill else cell for cell, fill in zip(cells, filled, strict=True))
    yield ".TE"


def _spans(token: Token) -> str:
    """Running text: code, strong words and names of pages in bold, emphasis in italics, links as their texts."""
    made: list[str] = []
    link = ""
    for child in token.children or []:
        match child.type:
            case "text":
                made.append(escaped(child.content))
            case "code_inline":
                made.append(bold(child.content))
            case "softbreak" | "hardbreak":
                made.append("\n")
            case "strong_open":
                made.append(r"\fB")
            case "em_open":
                made.append(r"\fI")
            case "strong_close" | "em_close":
                made.append(r"\fR")
            case "link_open":
                link = str(child.attrGet("href"))
                made.append(r"\fB" if _PAGE.match(link) else "")
            case "link_close":
                made.append(r"\fR" if _PAGE.match(link) else "")
            case _:
                raise ValueError(f"a manual page has no form for {child.type}")
    return guarded("".join(made))
