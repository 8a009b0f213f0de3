"""Preferences: how much more a policy prefers the chosen of two answers than its reference does.

margin = beta ((policy_w - reference_w) - (policy_l - reference_l)), loss = -log sigmoid(margin), of log-probabilities
of whole answers, sums over their tokens: direct preference optimisation, Rafailov et al. (2023), equation 7. N pairs.
"""

import numpy as np

from lmkit.protocols import F64

BETA = 0.1


def margins(policy_chosen: F64, policy_rejected: F64, reference_chosen: F64, reference_rejected: F64, beta: F64) -> F64:
    """The margin of each pair, (N,)."""
    return beta * ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected))


def losses(margin: F64) -> F64:
    """The loss of each pair, (N,), in nats; ln 2 where policy and reference are the same."""
    found: F64 = np.logaddexp(0.0, -margin)
    return found


def agreements(margin: F64) -> F64:
    """1 where the chosen answer is preferred, 0 where the other one is, 1/2 where neither is, (N,)."""
    found: F64 = (np.sign(margin) + 1) / 2
    return found
