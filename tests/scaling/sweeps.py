"""Sweeps whose law is known."""

import numpy as np

from lmkit.scaling.runs import Runs

E, A, B, ALPHA, BETA = 1.69, 406.4, 410.7, 0.34, 0.28
"""Hoffmann et al. (2022), approach 3."""
EXPONENT = BETA / (ALPHA + BETA)


def optimum(flops):
    return (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (flops / 6) ** EXPONENT


def loss(parameters, tokens):
    return E + A / parameters**ALPHA + B / tokens**BETA


def sweep(*, decades=0.5, sizes=9, shift=0.0, noise=0.0, seed=0):
    """Row K2: seven budgets, sizes within half a decade of the optimum."""
    flops, offset = map(
        np.ravel, np.meshgrid(np.logspace(18, 22, 7), np.linspace(-decades, decades, sizes) + shift, indexing="ij")
    )
    parameters = optimum(flops) * 10**offset
    tokens = flops / 6 / parameters
    scatter = np.random.default_rng(seed).standard_normal(len(flops))
    return Runs(flops, parameters, tokens, loss(parameters, tokens) * (1 + noise * scatter))


def csv(runs):
    rows = zip(runs.flops.tolist(), runs.parameters.tolist(), runs.tokens.tolist(), runs.loss.tolist(), strict=True)
    return "flops,parameters,tokens,loss\n" + "".join(f"{','.join(map(repr, row))}\n" for row in rows)
