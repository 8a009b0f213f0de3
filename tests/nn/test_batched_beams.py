"""Beam search over torch rows: the texts of single steps."""

import numpy as np
import pytest
from test_torch_batch import SETTINGS, model_of

from lmkit.generation.beam_search import Beams, BeamSearch
from lmkit.generation.engine import Request
from lmkit.protocols import supports_batching

__all__ = ["model_of"]


@pytest.mark.few(4)
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("groups", [1, 2])
def test_beams_of_rows_are_those_of_single_steps(name, groups, model_of, monkeypatch):
    model = model_of(name)
    monkeypatch.setattr(model.tokenizer.__class__, "decode", lambda _, ids: bytes(ids), raising=False)
    request = Request(0, np.zeros(0, np.int32), model.start)
    beams = Beams(4, 4, groups=groups, diversity=0.3 if groups > 1 else 0.0)

    def found(explain):
        texts = list(BeamSearch(model, beams, most=16, explain=explain).run([request]))
        return [(text.ids, text.closing, text.finish_reason) for text in texts]

    assert supports_batching(model)
    assert found(False) == found(True)
