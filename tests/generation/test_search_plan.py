"""Tests of: search_plan.py, step_trace.py. Generators of searches, and steps as records."""

import numpy as np
import pytest
from table_models import Table

from lmkit.errors import CheckpointError
from lmkit.generation.engine import Completion, Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.search_plan import SearchPlan
from lmkit.generation.step_trace import step_tracer, trace_fields
from lmkit.generation.steppers import SequentialStepper

PLAN = {
    "beam": 2, "length_penalty": 0.0, "groups": 1, "diversity": 0.5, "keep_greedy": False, "patience": 0.0,
    "contrastive": None, "explain": True, "number": 2, "candidates": 0,
}  # fmt: skip


class Letters(Table):
    """A table whose tokens have names."""

    def __init__(self):
        super().__init__(6, 1, lambda: [0.1, 1.0, 2.0, 3.0])
        self.tokenizer.piece = lambda token: bytes([96 + token])


def request(model):
    return Request(0, np.zeros(0, np.int32), model.start)


def test_beams_are_ranked_and_their_steps_are_records():
    model, plan = Letters(), SearchPlan(**PLAN | {"length_penalty": 1.0})
    found = list(plan.generator(model, most=3, stops=(), never=(), penalties=()).run([request(model)]))
    assert [done.rank for done in found] == [0, 1]
    fields = plan.fields(found[0], model)
    assert fields["score"] == pytest.approx(found[0].nats(model) / 3)
    assert [sorted(item) for item in fields["steps"][0]] == [["nats", "tokens"]] * 2
    assert fields["steps"][2][0]["finish_reason"] == "length"


def test_contrastive_search_is_for_models_with_hidden_states():
    plan = SearchPlan(**PLAN | {"beam": 0, "contrastive": 0.5})
    with pytest.raises(CheckpointError, match="hidden states"):
        plan.generator(Letters(), most=3, stops=(), never=(), penalties=())


@pytest.mark.parametrize(("most", "explain"), [(2, False), (None, True)])
def test_a_trace_has_what_is_asked_for(most, explain):
    model = Letters()
    sampler = Sampler(Filtering(top_k=2).chain())
    stepper = SequentialStepper(model, sampler, step_tracer(model, most=most, explain=explain))
    (done,) = completions(Generator(model, stepper, most=2).run([request(model)]))
    assert isinstance(done, Completion)
    fields = trace_fields(done)
    assert list(fields) == (["steps"] if explain else ["logprobs"])
    if explain:
        assert sum(kept["probability"] for kept in fields["steps"][0]["kept"]) == pytest.approx(1)
        assert [len(step["kept"]) for step in fields["steps"]] == [2] * len(fields["steps"])
    else:
        assert all(len(step["top"]) == most for step in fields["logprobs"])
