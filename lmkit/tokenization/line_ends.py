"""Lines of ids joined by the token that ends a line."""

import numpy as np

from lmkit.protocols import I32, I64

Part = tuple[I32, I64]
"""Ids, (N,), and the places among them where documents end, (M,); a document may continue in the next part."""


def with_line_ends(ids: I32, ends: I64, newline_id: int) -> Part:
    """Lines laid end to end with the token for their end behind each, and where each ends."""
    after = ends + np.arange(1, len(ends) + 1)
    longer = np.empty(len(ids) + len(ends), dtype=np.int32)
    own = np.ones(len(longer), dtype=np.bool_)
    own[after - 1] = False
    longer[own] = ids
    longer[after - 1] = newline_id
    return longer, after
