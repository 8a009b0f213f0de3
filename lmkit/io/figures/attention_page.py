"""A page of attention weights: heads as lines, the whole model as pictures, queries and keys; one file, no network."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lmkit.io.figures import page, style

if TYPE_CHECKING:
    from lmkit.protocols import F32

FINE = 4_500_000
"""Bytes of a page up to which numbers have 16 bits; those of larger pages have 8."""
BASE64 = 4 / 3
TABS = (("heads", "Heads"), ("model", "Model"), ("vectors", "Queries and keys"))


@dataclass(frozen=True)
class AttentionView:
    """Weights (layers, heads, T, S) from tokens `rows` to tokens `columns`.

    `queries`, (layers, heads, T, E), and `keys`, (layers, heads, S, E), are those whose products are the scores.
    """

    name: str
    rows: Sequence[str]
    columns: Sequence[str]
    weights: "F32"
    queries: "F32 | None" = None
    keys: "F32 | None" = None

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        vectors = [part.size for part in (self.queries, self.keys) if part is not None]
        return self.weights.size + sum(vectors)


def size(views: Sequence[AttentionView]) -> int:
    """About how many bytes a page has at least."""
    return int(BASE64 * sum(view.numbers for view in views))


def attention_page(title: str, views: Sequence[AttentionView], layer: int = 0, head: int = 0) -> bytes:
    """The page, which opens at a layer and a head; the same weights, the same bytes."""
    bits = 16 if 2 * size(views) < FINE else 8
    data = {"layer": layer, "head": head, "views": [_packed(view, bits) for view in views]}
    inside = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # no token ends the script
    room = files("lmkit.io.figures")
    sheets = [room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "attention.css")]
    script = room.joinpath("attention.js").read_text(encoding="utf-8")
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{name}" data-tab="{name}" aria-controls="{name}">{label}</button> '
        for name, label in TABS
    )
    body = room.joinpath("attention.html").read_text(encoding="utf-8").replace("@TABS@", tabs)
    before, _, after = body.partition("@DATA@")
    text = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{page.text(title)}</title>\n'
        f"<style>\n{page.colors()}{''.join(sheets)}</style>\n</head>\n<body>\n"
        f"<header><h1>{page.text(title)}</h1>{page.THEME}</header>\n<main>\n{before}{inside}{after}</main>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )
    return text.encode(errors="replace")


def _packed(view: AttentionView, bits: int) -> dict[str, Any]:
    """A view as the page's script reads it."""
    import numpy as np

    layers, heads = view.weights.shape[:2]
    most, kind = (65535, "<u2") if bits == 16 else (255, "u1")
    packed = {
        "name": view.name, "layers": layers, "heads": heads, "rows": list(map(style.shown_token, view.rows)),
        "columns": list(map(style.shown_token, view.columns)), "bits": bits,
        "weights": _base64(np.rint(np.clip(view.weights, 0, 1) * most).astype(kind)),
    }  # fmt: skip
    if view.queries is not None and view.keys is not None:
        packed |= {"width": view.queries.shape[-1], "vector_bits": bits}
        for name, scales, vectors in (("queries", "query_scales", view.queries), ("keys", "key_scales", view.keys)):
            largest = np.maximum(np.abs(vectors).max(axis=(2, 3)), 1e-30) / (32767 if bits == 16 else 127)
            packed[name] = _base64(np.rint(vectors / largest[..., None, None]).astype("<i2" if bits == 16 else "i1"))
            packed[scales] = [[float(f"{value:.6g}") for value in row] for row in largest]
    return packed


def _base64(numbers: Any) -> str:
    return base64.b64encode(numbers.tobytes()).decode()
