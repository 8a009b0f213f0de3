"""Images in PNG of one colour whose depth varies, for pictures inside SVG. Knows no drawing library."""

import struct
import zlib
from collections.abc import Sequence


def pixels(depths: Sequence[Sequence[float]], color: str) -> bytes:
    """A PNG of a pixel for each number: 0 is transparent, 1 the colour (`#rrggbb`)."""
    height, width = len(depths), len(depths[0])
    rows = b"".join(b"\x00" + bytes(round(255 * min(1.0, max(0.0, depth))) for depth in row) for row in depths)
    palette = bytes.fromhex(color.removeprefix("#")) * 256
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"tRNS", bytes(range(256))),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
