import numpy as np
import pytest

from lmkit import registry
from lmkit.checkpoint import Checkpoint
from lmkit.errors import CheckpointError


def test_a_checkpoint_is_described_without_its_kind():
    tensors = {
        "weights": np.zeros((2, 3), np.float32),
        "norms": np.zeros(2, np.float32),
        "ids": np.zeros(4, np.int32),
        "tokenizer.scores": np.zeros(5, np.float32),
    }
    content = Checkpoint("strange", {"order": 2}, tensors, {"type": "word"}, {"command": "x"})
    found = registry.describe_checkpoint(content, 99)
    assert found == {
        "kind": "strange",
        "config": {"order": 2},
        "tokenizer": {"type": "word"},
        "parameters": 6,
        "bytes": 99,
        "origin": {"command": "x"},
        "tensors": {
            "ids": ["I32", [4]],
            "norms": ["F32", [2]],
            "tokenizer.scores": ["F32", [5]],
            "weights": ["F32", [2, 3]],
        },
        "digest": content.digest,
    }


def test_an_arpa_file_is_described(lmkit, shelf, work):
    lmkit("ngram", "export", shelf["witten-bell-3.lm"], "-o", "model.arpa")
    data = memoryview((work / "model.arpa").read_bytes())
    found = registry.describe_arpa(data, "model.arpa")
    assert (found["kind"], found["config"]["format"], found["bytes"]) == ("ngram", "ARPA", len(data))
    assert len(found["config"]["ngrams"]) == found["config"]["order"] == 3


def test_what_is_neither_is_not_described():
    with pytest.raises(CheckpointError, match="x: neither a checkpoint nor an ARPA file"):
        registry.describe_arpa(memoryview(b"text\n"), "x")
