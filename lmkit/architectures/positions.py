"""Numbers that stand for positions: sinusoidal tables and the angles of rotary positions. Knows no model."""

import math

import numpy as np

from lmkit.architectures.transformer import TransformerConfig
from lmkit.protocols import F32, F64, I64


def sinusoidal(positions: F64, width: int, *, first: int = 0) -> F64:
    """p_i = sin(i / 10000^(2k/d)), cos(i / 10000^(2k/d)) in turn, (N, d), with k from `first` up.

    Vaswani et al. (2017), section 3.5, have k from 0; k from 1 loses the fastest wave.
    """
    waves = np.arange(first, first + (width + 1) // 2)
    angles = positions[:, None] / 10000.0 ** (2 * waves / width)
    table = np.empty((len(positions), 2 * len(waves)))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table[:, :width]


def sinusoidal_halves(size: int, width: int) -> F32:
    """`sinusoidal` of positions 0 to `size`, (size, d), with all sines before all cosines, as Marian has them."""
    table = sinusoidal(np.arange(size, dtype=np.float64), width)
    return np.concatenate((table[:, 0::2], table[:, 1::2]), axis=1).astype(np.float32)


def frequencies(settings: TransformerConfig) -> F64:
    """Angle by which a pair of numbers turns from one position to the next, (head_width / 2,). Su et al. (2021)."""
    half = np.arange(settings.head_width // 2)
    angles: F64 = settings.rope_theta ** (-2.0 * half / settings.head_width)
    scaling = settings.rope_scaling
    if scaling is None:
        return angles
    # Llama 3: waves longer than the old context are slowed by `factor`, short ones kept, those between blended.
    turns = scaling["original_context"] * angles / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - share) * angles / scaling["factor"] + share * angles


def rotary(settings: TransformerConfig, begin: int, end: int) -> tuple[F32, F32]:
    """Cosines and sines of the angles of positions `begin` to `end`, each (end - begin, head_width / 2)."""
    angles = np.outer(np.arange(begin, end), frequencies(settings))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotary_table(theta: float, width: int, context: int) -> tuple[F32, F32]:
    """Cosines and sines of the angles of positions 0 to `context`, each (context, width / 2), for one base."""
    frequency = theta ** (-2.0 * np.arange(width // 2) / width)
    angles = np.outer(np.arange(context), frequency)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def relative_buckets(relative: I64, buckets: int, distance: int, *, both: bool) -> I64:
    """The bucket of each relative position j - i, any shape. Raffel et al. (2020), section 2.1.

    With `both` ways half the buckets are of later positions; else later ones are in the first. Half of each way's
    are of one position, the others grow by a factor up to `distance`, from which on all are in the last.
    """
    way = buckets // 2 if both else buckets
    first = np.where(relative > 0, way, 0) if both else np.zeros_like(relative)
    far = np.abs(relative) if both else np.maximum(-relative, 0)
    exact = way // 2
    # float32 as transformers has it: where a logarithm is whole but for rounding, the bucket depends on it
    log = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact)) / np.float32(math.log(distance / exact))
    grown = exact + (log * np.float32(way - exact)).astype(np.int64)
    found: I64 = first + np.where(far < exact, far, np.minimum(grown, way - 1))
    return found
