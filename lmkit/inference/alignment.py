"""How well a query matches a key, as Luong et al. (2015), section 3.1, and Vaswani et al. (2017) score it.

s scale, T queries and S keys of D numbers (keys of other sizes where a matrix stands between), A rows of `concat`.
"""

import math

import numpy as np

from lmkit.inference.formulas import linear, softmax
from lmkit.protocols import Bool, Floats


def dot(queries: Floats, keys: Floats, scale: float | None = 1.0) -> Floats:
    """s q k, (T, S); a scale of None is 1 / sqrt(D)."""
    scale = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    return linear(queries, keys) * scale


def general(queries: Floats, keys: Floats, weight: Floats, scale: float = 1.0) -> Floats:
    """s q W k, (T, S); W is (D of queries, D of keys)."""
    return dot(queries @ weight, keys, scale)


def concat(queries: Floats, keys: Floats, weight: Floats, vector: Floats, scale: float = 1.0) -> Floats:
    """s v tanh(W [q; k]), (T, S); W is (A, D of queries + D of keys), v is (A,)."""
    width = queries.shape[-1]
    from_queries, from_keys = linear(queries, weight[:, :width]), linear(keys, weight[:, width:])
    return np.tanh(from_queries[:, None] + from_keys[None]) @ vector * scale


def attend(scores: Floats, values: Floats, mask: Bool | None = None) -> tuple[Floats, Floats]:
    """Softmax of scores (T, S) over what `mask`, (T, S), allows, applied to values (S, E): outputs and weights."""
    weights = softmax(scores if mask is None else np.where(mask, scores, -np.inf))
    return weights @ values, weights
