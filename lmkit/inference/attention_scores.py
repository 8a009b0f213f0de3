"""Which keys a query may see, and how well it matches them: Luong et al. (2015), section 3.1; Vaswani et al. (2017).

s scale, T queries and S keys of D numbers (keys of other sizes where a matrix maps them), A rows of `concat`, ... any
leading axes, which are batched over.
"""

import math
from typing import Any, cast

import numpy as np

from lmkit.inference.functional import causal, linear, softmax
from lmkit.protocols import Bool, Floats


def dot(queries: Floats, keys: Floats, scale: float | None = 1.0) -> Floats:
    """s q k, (..., T, S); a scale of None is 1 / sqrt(D)."""
    scale = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    scores: Any = queries @ np.swapaxes(keys, -1, -2)
    return cast(Floats, scores if scale == 1 else scores * scores.dtype.type(scale))


def general(queries: Floats, keys: Floats, weight: Floats, scale: float = 1.0) -> Floats:
    """s q W k, (..., T, S); W is (D of queries, D of keys)."""
    return dot(queries, linear(keys, weight), scale)


def concat(queries: Floats, keys: Floats, weight: Floats, vector: Floats, scale: float = 1.0) -> Floats:
    """s v tanh(W [q; k]), (..., T, S); W is (A, D of queries + D of keys), v is (A,)."""
    width = queries.shape[-1]
    return concat_mapped(linear(queries, weight[:, :width]), linear(keys, weight[:, width:]), vector) * scale


def concat_mapped(from_queries: Floats, from_keys: Floats, vector: Floats) -> Floats:
    """v tanh(W_q q + W_k k), (..., T, S), of queries and keys that W = [W_q W_k] has mapped, (..., A)."""
    return cast(Floats, np.tanh(from_queries[..., :, None, :] + from_keys[..., None, :, :]) @ vector)


def attend(scores: Floats, values: Floats, mask: Bool | None = None) -> tuple[Floats, Floats]:
    """Softmax of scores (..., T, S) over what `mask` allows, applied to values (..., S, E): outputs and weights."""
    weights = softmax(scores if mask is None else np.where(mask, scores, scores.dtype.type(-np.inf)))
    return cast(Floats, weights @ values), weights


MASKS = ("causal", "full", "prefix", "cross")


def mask(kind: str, size: int, prefix: int = 0) -> Bool:
    """Which of `size` keys each of as many queries may see, (T, T), by one of MASKS.

    `causal`: itself and those before it; `full`: all; `prefix`: the first `prefix` ones too; `cross`: all of a source
    of `prefix` tokens, (T, prefix).
    """
    if kind == "cross":
        return np.ones((size, prefix), dtype=np.bool_)
    if kind == "full":
        return np.ones((size, size), dtype=np.bool_)
    allowed = causal(size, size)
    allowed[:, :prefix] = True
    return allowed
