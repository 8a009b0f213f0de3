"""The functions that neural models are made of, on numpy arrays of any float type. Knows no model and no file.

Shapes: ... any leading axes, which are batched over; I inputs, D outputs of a layer, T queries, S keys, E numbers
in a value. Matrices are (outputs, inputs); rows of gates lie as in `architectures.recurrent`.
"""

import math
from functools import cache
from typing import Any, cast

import numpy as np

from lmkit.protocols import Bool, Floats

# Distributions.


def log_softmax(logits: Floats) -> Floats:
    """l - log sum exp l over the last axis, (..., V) to (..., V), in nats."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return cast(Floats, shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def softmax(logits: Floats) -> Floats:
    """exp l / sum exp l over the last axis, (..., V) to (..., V)."""
    raised = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
    np.exp(raised, out=raised)
    raised /= np.add.reduce(raised, axis=-1, keepdims=True)
    return raised


# Elementwise.


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)); exp may overflow to infinity, where the result is zero as it should be."""
    (one,) = _numbers(x.dtype, 1.0)
    raised: Any = np.negative(x)
    np.exp(raised, out=raised)
    raised += one
    return cast(Floats, np.divide(one, raised, out=raised))


@cache
def _numbers(kind: Any, *numbers: float) -> tuple[Any, ...]:
    """Numbers as arrays of a type, which numpy takes much faster than Python's own."""
    return tuple(np.array(number, dtype=kind) for number in numbers)


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, 0)


def relu2(x: Floats) -> Floats:
    """max(x, 0)^2. So et al. (2021), section 4.1."""
    return np.square(np.maximum(x, 0))


_GELU = -2 * math.sqrt(2 / math.pi) * 0.044715, -2 * math.sqrt(2 / math.pi), 1.0


def gelu(x: Floats) -> Floats:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): the tanh form of Hendrycks and Gimpel (2016).

    Worked out as x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), which takes fewer steps; exp may overflow to
    infinity, where the result is zero.
    """
    cubic, straight, one = _numbers(x.dtype, *_GELU)
    inner: Any = x * x
    inner *= cubic
    inner += straight
    inner *= x
    np.exp(inner, out=inner)
    inner += one
    return cast(Floats, np.divide(x, inner, out=inner))


_ERF = (0.3275911 / math.sqrt(2), 1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def gelu_erf(x: Floats) -> Floats:
    """x Phi(x) = x/2 (1 + erf(x / sqrt(2))). Hendrycks and Gimpel (2016).

    Abramowitz and Stegun (1964), 7.1.26: 1 - erf(z) = (a1 t + ... + a5 t^5) exp(-z^2) with t = 1 / (1 + p z), z >= 0,
    to 1.5e-7, which is float32's own rounding.
    """
    inner, *coefficients, half, one = _numbers(x.dtype, *_ERF, 0.5, 1.0)
    size: Any = np.abs(x)
    t: Any = size * inner
    t += one
    np.divide(one, t, out=t)
    tail: Any = t * coefficients[0]
    for coefficient in coefficients[1:]:
        tail += coefficient
        tail *= t
    np.multiply(size, size, out=t)
    t *= -half
    np.exp(t, out=t)
    tail *= t  # 1 - erf(|x| / sqrt(2))
    tail *= size
    tail *= half
    np.maximum(x, x.dtype.type(0), out=size)  # x Phi(x) = max(x, 0) - |x| (1 - erf) / 2
    size -= tail
    return cast(Floats, size)


def silu(x: Floats) -> Floats:
    """x sigmoid(x). Elfwing et al. (2018). As `sigmoid`, exp may overflow."""
    (one,) = _numbers(x.dtype, 1.0)
    raised: Any = np.negative(x)
    np.exp(raised, out=raised)
    raised += one
    return cast(Floats, np.divide(x, raised, out=raised))


def swiglu(gate: Floats, up: Floats) -> Floats:
    """silu(gate) * up. Shazeer (2020), equation 5."""
    gated: Any = silu(gate)
    gated *= up
    return cast(Floats, gated)


# Layers.


def linear(x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    """W x + b: x (..., I), W (D, I), b (D,) to (..., D)."""
    product = x @ weight.T
    return cast(Floats, product if bias is None else product + bias)


def layer_norm(x: Floats, weight: Floats | None = None, bias: Floats | None = None, epsilon: float = 1e-5) -> Floats:
    """g (x - mean) / sqrt(variance + e) + b over the last axis, (..., D). Ba et al. (2016); variance is sigma^2."""
    size = x.shape[-1]
    centred: Any = x - cast(Any, np.add.reduce)(x, axis=-1, keepdims=x.ndim > 1) / size
    centred *= _factor(centred, size, epsilon)
    if weight is not None:
        centred *= weight
    if bias is not None:
        centred += bias
    return cast(Floats, centred)


def rms_norm(x: Floats, weight: Floats | None = None, epsilon: float = 1e-6) -> Floats:
    """g x / sqrt(mean of x^2 + e) over the last axis, (..., D). Zhang and Sennrich (2019)."""
    normed: Any = x * _factor(x, x.shape[-1], epsilon)
    if weight is not None:
        normed *= weight
    return cast(Floats, normed)


def _factor(x: Floats, size: int, epsilon: float) -> Any:
    """1 / sqrt(mean of x^2 + e), (..., 1), in the type of x."""
    if x.ndim == 1:
        square = float(x.dot(x)) / size + epsilon
        return 1 / math.sqrt(square) if square else math.inf  # Python's numbers take the type of x
    factor: Any = np.vecdot(x, x)
    factor /= size
    factor += epsilon
    return (factor**-0.5)[..., None]


# Recurrent cells: from sums of inputs, and whole steps.


def elman_step(
    x: Floats, h: Floats, weight_ih: Floats, weight_hh: Floats,
    bias_ih: Floats | None = None, bias_hh: Floats | None = None,
) -> Floats:  # fmt: skip
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh). Elman (1990).

    x (..., I), h (..., D), W_ih (D, I), W_hh (D, D), biases (D,) or none; gives h' (..., D). The course's
    one bias b_h is `bias_ih` alone.
    """
    return np.tanh(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))


def lstm_cell(sums: Floats, c: Floats) -> tuple[Floats, Floats]:
    """c' = s(f) c + s(i) tanh(g), h' = s(o) tanh(c'): sums (..., 4D) of i, f, g, o, c (..., D) to h', c'."""
    width = c.shape[-1]
    new = np.tanh(sums[..., 2 * width : 3 * width])
    gates = sigmoid(sums)
    new *= gates[..., :width]
    cell: Any = gates[..., width : 2 * width] * c
    cell += new
    hidden: Any = np.tanh(cell)
    hidden *= gates[..., 3 * width :]
    return hidden, cell


@np.errstate(over="ignore")
def lstm_step(
    x: Floats, h: Floats, c: Floats, weight_ih: Floats, weight_hh: Floats,
    bias_ih: Floats | None = None, bias_hh: Floats | None = None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """h' and c' of `lstm_cell` on W_ih x + b_ih + W_hh h + b_hh. Hochreiter and Schmidhuber (1997); Gers et al. (2000).

    x (..., I), h and c (..., D), W_ih (4D, I), W_hh (4D, D), biases (4D,) or none; gives h', c', each (..., D).
    """
    return lstm_cell(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh), c)


def gru_cell(from_input: Floats, from_state: Floats, h: Floats) -> Floats:
    """h' = (1 - z) n + z h with r, z = s(...), n = tanh(n_in + r n_state).

    Both sums are (..., 3D), of r, z, n; h (..., D).
    """
    width = h.shape[-1]
    gates = sigmoid(from_input[..., : 2 * width] + from_state[..., : 2 * width])
    reset, keep = gates[..., :width], gates[..., width:]
    new = np.tanh(from_input[..., 2 * width :] + reset * from_state[..., 2 * width :])
    return cast(Floats, new + keep * (h - new))


@np.errstate(over="ignore")
def gru_step(
    x: Floats, h: Floats, weight_ih: Floats, weight_hh: Floats,
    bias_ih: Floats | None = None, bias_hh: Floats | None = None,
) -> Floats:  # fmt: skip
    """h' of `gru_cell` on W_ih x + b_ih and W_hh h + b_hh. Cho et al. (2014), the reset gate behind the product.

    x (..., I), h (..., D), W_ih (3D, I), W_hh (3D, D), biases (3D,) or none; gives h' (..., D).
    """
    return gru_cell(linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh), h)


def mingru_cell(sums: Floats, h: Floats) -> Floats:
    """h' = (1 - z) h + z g(n) with z = s(...), and g(a) = a + 1/2 where a >= 0, else s(a).

    Sums (..., 2D), of z, n; h (..., D).
    """
    width = h.shape[-1]
    gates = sigmoid(sums)
    new = sums[..., width:]
    new = np.where(new >= 0, new + new.dtype.type(0.5), gates[..., width:])
    return cast(Floats, h + gates[..., :width] * (new - h))


@np.errstate(over="ignore")
def mingru_step(x: Floats, h: Floats, weight_ih: Floats, bias_ih: Floats | None = None) -> Floats:
    """h' of `mingru_cell` on W x + b. Feng et al. (2024), the form of appendix B.2.

    x (..., I), h (..., D), W (2D, I), b (2D,) or none; gives h' (..., D).
    """
    return mingru_cell(linear(x, weight_ih, bias_ih), h)


# Attention.


def causal(queries: int, keys: int) -> Bool:
    """Which key each query may see, (T, S): the last query sees all keys, each before it one less."""
    return np.tri(queries, keys, keys - queries, dtype=np.bool_)


def attention(
    queries: Floats, keys: Floats, values: Floats, scale: float | None = None, mask: Bool | None = None
) -> tuple[Floats, Floats]:
    """a_ij = softmax over j of scale q_i k_j; y_i = sum over j of a_ij v_j. Vaswani et al. (2017), equation 1.

    queries (..., T, D), keys (..., S, D), values (..., S, E); scale is 1 / sqrt(D) if not given. Where `mask`,
    broadcast to (..., T, S), is false, the score becomes -inf. Gives outputs (..., T, E) and weights (..., T, S).
    """
    scale = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    scores: Any = queries @ np.swapaxes(keys, -1, -2)
    scores = scores * scores.dtype.type(scale)
    if mask is not None:
        scores = np.where(mask, scores, scores.dtype.type(-np.inf))
    weights = softmax(scores)
    return cast(Floats, weights @ values), weights


def rotate(x: Floats, cosines: Floats, sines: Floats) -> Floats:
    """Numbers i and i + D/2 of x, (..., D), turned by angles whose cosines and sines are (..., D/2).

    Su et al. (2021), section 3.2.2, in halves instead of neighbours.
    """
    return turn(x, *turning(cosines, sines))


def turning(cosines: Floats, sines: Floats) -> tuple[Floats, Floats]:
    """What `turn` multiplies by, each (..., 2, D/2), for angles whose cosines and sines are (..., D/2)."""
    return np.stack((cosines, cosines), axis=-2), np.stack((-sines, sines), axis=-2)


def turn(x: Floats, kept: Floats, crossed: Floats) -> Floats:
    """`rotate` by what `turning` gives: each half of x times `kept`, and the other half times `crossed`."""
    halves = x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2)
    turned = halves * kept
    turned += halves[..., ::-1, :] * crossed
    return cast(Floats, turned.reshape(x.shape))
