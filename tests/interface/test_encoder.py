"""Encoders from Python: the numbers of the commands."""

import numpy as np
import pytest
from tiny_encoders import encoder_file

import lmkit as package
from lmkit.errors import DataError, UsageError


@pytest.fixture
def model(write):
    return package.load(write("enc.lm", encoder_file()))


def test_numbers_are_those_of_the_commands(model, lmkit):
    assert isinstance(model, package.Encoder)
    text = "the [MASK] sat on the [MASK]."
    printed = lmkit("fill", "-m", "enc.lm", text, "--top", 2, "--json").records
    found = [one for candidates in model.fill(text, top=2) for one in candidates]
    assert [(one.token, one.id, one.probability, one.nats) for one in found] == [
        (one["token"], one["id"], one["probability"], one["nats"]) for one in printed
    ]
    lines = ["the cat sat", "", "it was too wide"]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    vectors = model.embed(lines)
    for vector, record in zip(vectors, lmkit("embed", "-m", "enc.lm", "--json", stdin=stdin).records, strict=True):
        np.testing.assert_allclose(vector, record["vector"] or np.zeros(16), atol=1e-6)
    scores = lmkit("score", "--pseudo", "-b", "-m", "enc.lm", stdin=stdin).stdout.decode().split()
    assert model.pseudo_score(lines) == pytest.approx([float(one) for one in scores])
    assert (model.context_length, model.embed([]).shape, model.pseudo_score([])) == (32, (0, 16), [])
    assert model.info()["kind"] == "encoder"


def test_bad_input(model, write):
    for call, error, said in (
        (lambda: model.fill("a"), DataError, "no mask"),
        (lambda: model.fill("a [MASK]", top=0), UsageError, "top: 0"),
        (lambda: model.embed(["a " * 60]), DataError, "62 tokens"),
        (lambda: model.embed(["a\nb"]), UsageError, "several lines"),
        (lambda: model.embed(["a"], pool="last"), UsageError, "pool"),
        (lambda: package.LanguageModel.load("enc.lm"), package.errors.CheckpointError, "an encoder, which reads both"),
    ):
        with pytest.raises(error, match=said):
            call()
