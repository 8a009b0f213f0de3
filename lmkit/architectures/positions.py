"""Numbers that stand for positions: sinusoidal tables and the angles of rotary positions. Knows no model."""

import math

import numpy as np

from lmkit.architectures.transformer import TransformerConfig
from lmkit.protocols import F32, F64


def sinusoidal(positions: F64, width: int, *, first: int = 0) -> F64:
    """p_i = sin(i / 10000^(2k/d)), cos(i / 10000^(2k/d)) in turn, (N, d), with k from `first` up.

    Vaswani et al. (2017), section 3.5, have k from 0; k from 1 loses the fastest wave.
    """
    waves = np.arange(first, first + (width + 1) // 2)
    angles = positions[:, None] / 10000.0 ** (2 * waves / width)
    table = np.empty((len(positions), 2 * len(waves)))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table[:, :width]


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
