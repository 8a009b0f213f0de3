"""A stream of bytes in blocks that can be encoded one by one, with the ids of the whole. Knows no files."""

from collections.abc import Iterable, Iterator

import numpy as np

from lmkit.tokenization.bpe.pretokenization import JOINED, WALLS, find
from lmkit.tokenization.bpe.scheme import PATTERNS, Scheme

LARGE = 1 << 20  # bytes without a line end before a cut is made inside a line
UNSETTLED = 5  # pre-tokens at the end of a piece that what follows might change
_FEED = 10


def blocks(pieces: Iterable[bytes], scheme: Scheme, *, lines: bool, margin: int = 0) -> Iterator[bytes]:
    """The same bytes, cut where no pre-token reaches across.

    With `lines` that is at every line feed, else only where the pattern parts the text whatever
    comes before and after. A line longer than LARGE is cut between pre-tokens, so that memory
    stays bounded. `margin`: no cut inside a line falls within so many bytes of what has come,
    for names of special tokens.
    """
    rest = b""
    enough = LARGE
    for piece in pieces:
        rest = rest + piece if rest else piece
        cut = rest.rfind(b"\n") + 1 if lines else _line_end_between(rest, scheme)
        if not cut and len(rest) >= enough:
            cut = _settled(rest, scheme, lines=lines, margin=margin)
            enough = LARGE if cut else 2 * len(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _line_end_between(block: bytes, scheme: Scheme) -> int:
    """Behind the last line feed that no pre-token reaches across: one between two visible ASCII characters."""
    if scheme.pattern not in PATTERNS or scheme.pattern == "none":
        return block.rfind(b"\n") + 1
    text = np.frombuffer(block, dtype=np.uint8)
    visible = (text > 32) & (text < 127)
    places = np.flatnonzero(text[1:-1] == _FEED) + 1
    places = places[visible[places - 1] & visible[places + 1]]
    return int(places[-1]) + 1 if len(places) else 0


def _settled(block: bytes, scheme: Scheme, *, lines: bool, margin: int) -> int:
    """Where the last pre-token begins that nothing to come can change; 0 where there is none."""
    if scheme.level == "char":
        return max(block.rfind(b" "), block.rfind(b"\t")) + 1
    starts, _ = find(block, scheme.pattern, scheme.digits, WALLS if lines else JOINED)
    starts = starts[: -UNSETTLED or None]
    starts = starts[starts <= len(block) - margin]
    if scheme.normalize:  # a character that is not ASCII might become one with those before it
        starts = starts[np.frombuffer(block, dtype=np.uint8)[starts] < 128]
    return int(starts[-1]) if len(starts) else 0
