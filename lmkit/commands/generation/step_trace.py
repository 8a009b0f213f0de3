"""What is kept of each step for --logprobs and --explain: how probable a token was, and among which it was drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lmkit.commands.generation.requests import RequestId
from lmkit.generation import log_softmax
from lmkit.generation.candidates import Candidates
from lmkit.generation.engine import Completion, TextDelta
from lmkit.io.records import Table
from lmkit.io.streams import Output
from lmkit.protocols import F64

StepTrace = Callable[[F64, Candidates, int], Mapping[str, Any]]


def watch(model: Any, *, most: int | None, explain: bool) -> StepTrace | None:
    """What a step is to be asked for: the `most` probable tokens, and what the filters kept; None: nothing."""
    piece = model.tokenizer.piece

    def named(token: int) -> dict[str, Any]:
        return {"token": piece(token).decode(errors="replace"), "id": token}

    def told(logs: F64, candidates: Candidates, token: int) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        if most is not None:
            top = [{**named(one), "nats": float(logs[one])} for one in log_softmax.ranked(logs, most)]
            found["logprob"] = {**named(token), "nats": float(logs[token]), "top": top}
        if explain:
            left = log_softmax.normalise(candidates.logs[0].astype(np.float64))
            ids = range(len(left)) if candidates.ids is None else candidates.ids[0].tolist()
            masses = np.exp(left).tolist()
            kept = [{**named(ids[place]), "probability": masses[place]} for place in log_softmax.ranked(left, None)]
            found["step"] = {**named(token), "kept": kept}
        return found

    return told if most is not None or explain else None


def said(done: Completion) -> dict[str, Any]:
    """What was kept of the steps of a text, as its record says it."""
    logprobs = [step["logprob"] for step in done.trace if "logprob" in step]
    steps = [{"step": number, **step["step"]} for number, step in enumerate(done.trace, 1) if "step" in step]
    return {**({"logprobs": logprobs} if logprobs else {}), **({"steps": steps} if steps else {})}


class StepTableWriter:
    """The tokens that were kept at each step of each text, a row each; see `telling.Teller`."""

    def __init__(self, out: Output, *, sampled: bool = False) -> None:
        columns = ("id", *(("sample",) if sampled else ()), "step", "token", "probability", "drawn")
        self._table = Table(out, columns, as_json=False)

    def take(self, event: TextDelta | Completion) -> None:
        """See `Teller.take`."""
        if not isinstance(event, Completion):
            return
        label: RequestId = event.request.label
        for step in said(event)["steps"]:
            for kept in step["kept"]:
                drawn = "yes" if kept["id"] == step["id"] else "no"
                place = {"id": label.id, "sample": label.sample, "step": step["step"]}
                self._table.row({**kept, **place, "drawn": drawn})
