"""`lmkit embed`."""

import numpy as np
import pytest
from random_weights import random_weights
from rounding import assert_close

from lmkit.checkpoint import serialize
from lmkit.tokenization.tokenizers import ByteTokenizer, WordTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

WORDS = ["Juan", "no", "vio", "la", "película", "que", "me", "gustó", "it", "was", "too", "tired", "wide"]
SENTENCES = "Juan no vio la película que me gustó\nJuan vio la película que no me gustó\n".encode()
SHAPES = {
    "transformer": {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 8, "context": 32},
    "rnn": {"layers": 1, "width": 6},
    "ffn": {"context": 3, "width": 5, "hidden": 7},
}


@pytest.fixture(params=SHAPES)
def model(request, write):
    tokenizer = WordTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", *(word.encode() for word in WORDS)]))
    weights = random_weights(request.param, tokenizer, **SHAPES[request.param])
    write("model.lm", b"".join(serialize(weights.to_checkpoint({}))))
    return weights


def vectors(done):
    assert done.status == 0, done.stderr
    return [np.array(record["vector"]) for record in done.records]


def test_a_bag_of_words_knows_no_order(lmkit):
    one, other = vectors(lmkit("embed", "--bow", "--json", stdin=SENTENCES))
    assert one.tolist() == other.tolist() == [1] * 8
    done = lmkit("embed", "--bow", "--cosine", stdin=SENTENCES + b"x\n\n")
    assert [row["cosine"] for row in done.rows] == ["1", "1", "0", "0"]
    counts = vectors(lmkit("embed", "--bow", "--json", stdin=b"b a b\n\na\n"))
    assert [each.tolist() for each in counts] == [[1, 2], [0, 0], [1, 0]]


def test_models_know_order(lmkit, model):
    for pool in ("mean", "last"):
        one, other = vectors(lmkit("embed", "-m", "model.lm", "--json", "--pool", pool, stdin=SENTENCES))
        assert one.shape == other.shape
        assert np.abs(one - other).max() > 1e-3
    static = vectors(lmkit("embed", "-m", "model.lm", "--json", "--static", stdin=SENTENCES))
    assert_close(static[0], static[1])
    bags = vectors(lmkit("embed", "-m", "model.lm", "--json", "--bow", stdin=SENTENCES))
    assert bags[0].tolist() == bags[1].tolist() == [0] * 3 + [1] * 8 + [0] * 5


def test_a_word_alone_has_its_row_and_elsewhere_vectors_of_its_own(lmkit, model):
    table = model.tensors["embed_tokens.weight"]
    (row,) = vectors(lmkit("embed", "-m", "model.lm", "--static", "--json", stdin=b"it"))
    assert row == pytest.approx(table[model.tokenizer.encode(b"it")[0]])
    text = b"too tired it was too\ntoo wide it was too\nnone\n"
    done = lmkit("embed", "-m", "model.lm", "--contextual", "--token", "it", "--json", stdin=text)
    assert [(r["line"], r["place"], r["token"]) for r in done.records] == [(1, 2, "it"), (2, 2, "it")]
    one, other = vectors(done)
    assert np.abs(one - other).max() > 1e-3
    same = vectors(lmkit("embed", "-m", "model.lm", "--static", "--token", "it", "--json", stdin=text))
    assert [vector.tolist() for vector in same] == [row.tolist()] * 2


def test_lines_are_the_pools_of_their_tokens(lmkit, model):
    tokens = vectors(lmkit("embed", "-m", "model.lm", "--each", "token", "--json", stdin=b"it was too wide\n"))
    (mean,) = vectors(lmkit("embed", "-m", "model.lm", "--json", stdin=b"it was too wide"))
    (last,) = vectors(lmkit("embed", "-m", "model.lm", "--pool", "last", "--json", stdin=b"it was too wide"))
    assert len(tokens) == 4
    assert_close(mean, np.mean(tokens, axis=0))
    assert last.tolist() == tokens[-1].tolist()


def test_a_line_without_tokens_has_no_vector(lmkit, model, write):
    done = lmkit("embed", "-m", "model.lm", "--json", write("text", b"\nit\n"))
    assert done.records[0] == {"line": 1, "text": "", "vector": None}
    rows = lmkit("embed", "-m", "model.lm", "text").rows
    assert rows[0]["vector"] == ""
    assert [float(number) for number in rows[1]["vector"].split()] == pytest.approx(done.records[1]["vector"], rel=1e-5)
    cosines = [row["cosine"] for row in lmkit("embed", "-m", "model.lm", "--cosine", "text", "text").rows]
    assert cosines == ["", "1", "", "1"]


def test_any_bytes_for_tokens_that_are_bytes(lmkit, write):
    weights = random_weights("rnn", ByteTokenizer(), **SHAPES["rnn"])
    write("model.lm", b"".join(serialize(weights.to_checkpoint({}))))
    assert len(vectors(lmkit("embed", "-m", "model.lm", "--json", stdin=b"\xff\0\n" + b"x" * 9000))) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "no model"), (["--bow", "--static"], 2, "--bow"), (["--bow", "--token", "it"], 2, "--bow"),
        (["-m", "model.lm", "--token", "absent"], 2, "no token 'absent'"), (["-m", "text.txt"], 4, "neither"),
        (["-m", "model.lm", "--each", "word"], 2, "--each"), (["-m", "model.lm", "absent.txt"], 3, "absent.txt"),
        (["--bow", "-", "-"], 2, "stdin"), (["--bow", "text.txt", "-o", "text.txt"], 2, "text.txt"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["rnn"], indirect=True)
def test_what_makes_no_sense(arguments, status, told, model, fails, write):
    write("text.txt", b"it was\n")
    assert told in fails(status, "embed", *arguments, stdin=b"it\n").stderr


def test_models_without_vectors(fails, shelf):
    done = fails(4, "embed", "-m", shelf["witten-bell-3.lm"], stdin=b"the\n")
    assert "of kind ngram has no vectors" in done.stderr


@pytest.mark.parametrize("model", ["rnn"], indirect=True)
def test_weights_that_give_no_vectors(model, fails, write):
    model.tensors["embed_tokens.weight"][:] = np.nan
    write("bad.lm", b"".join(serialize(model.to_checkpoint({}))))
    assert "bad.lm: damaged checkpoint" in fails(4, "embed", "-m", "bad.lm", "--json", stdin=b"it\n").stderr
