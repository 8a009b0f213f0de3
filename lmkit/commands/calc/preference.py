"""`lmkit calc dpo`: the loss of direct preference optimisation."""

from typing import Any

from lmkit.commands.calc.json_arrays import Fields, Values, each
from lmkit.commands.options.standard import Output, Run
from lmkit.errors import DataError

NAMES = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


def dpo(run: Run, values: Values = None, output: Output = None) -> None:
    """Compute the loss of direct preference optimisation (DPO).

    margin = beta ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)), loss = -log
    sigmoid(margin), in nats (Rafailov et al. 2023). The four are log-probabilities of whole answers; `beta` is 0.1
    unless given. Input and output are one JSON value per line.

    Examples:
      lmkit calc dpo pairs.jsonl
      lmkit calc dpo < pairs.jsonl
    """
    each(values, output, _dpo)


def _dpo(value: Any) -> dict[str, float]:
    import numpy as np

    from lmkit.metrics import preference

    wrapped = {name: [one] for name, one in value.items()} if isinstance(value, dict) else value
    fields = Fields(wrapped, NAMES, ("beta",))
    beta = fields.vector("beta", 1)
    if beta is not None and beta[0] <= 0:
        raise DataError(f"beta: {beta[0]:g}, expected a number above 0")
    chosen, rejected, reference_chosen, reference_rejected = (fields.vector(name, 1) for name in NAMES)
    scale = np.array([preference.BETA]) if beta is None else beta
    margin = preference.margins(chosen, rejected, reference_chosen, reference_rejected, scale)
    return {"loss": preference.losses(margin).item(), "margin": margin.item()}
