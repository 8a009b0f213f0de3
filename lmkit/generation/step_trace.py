"""What is kept of each step of a text: how probable its token was, and among which candidates it was drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmkit.generation import log_softmax
from lmkit.generation.candidates import Candidates
from lmkit.generation.engine import Completion
from lmkit.generation.steppers import StepTracer
from lmkit.protocols import F64, LanguageModel


def step_tracer(model: LanguageModel, *, most: int | None, explain: bool) -> StepTracer:
    """What a step is asked for: its `most` probable tokens, and with `explain` what the filters kept."""
    piece = model.tokenizer.piece

    def named(token: int) -> dict[str, Any]:
        return {"token": piece(token).decode(errors="replace"), "id": token}

    def trace(logs: F64, candidates: Candidates, token: int) -> Mapping[str, Any]:
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

    return trace


def trace_fields(done: Completion) -> dict[str, Any]:
    """What was kept of the steps of a text, as fields of its record."""
    logprobs = [step["logprob"] for step in done.trace if "logprob" in step]
    steps = [{"step": number, **step["step"]} for number, step in enumerate(done.trace, 1) if "step" in step]
    return {**({"logprobs": logprobs} if logprobs else {}), **({"steps": steps} if steps else {})}
