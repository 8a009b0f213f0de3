"""`lmkit w2v similar --vectors`."""

import pytest
from tiny_encoders import encoder_file

LINES = b"the cat sat on the mat\n\nthe dog ran\nit was too wide\n"


@pytest.fixture(params=["tsv", "json", "npy"])
def embedded(request, lmkit, write):
    write("enc.lm", encoder_file())
    form = {"tsv": (), "json": ("--json",), "npy": ("--as", "npy")}[request.param]
    write("vectors", lmkit("embed", "-m", "enc.lm", *form, stdin=LINES).stdout)
    return request.param


def test_texts_are_found_by_themselves_and_by_a_model(lmkit, embedded):
    found = lmkit("w2v", "similar", "--vectors", "vectors", "-m", "enc.lm", "--json", "the dog ran", "--top", 2).records
    assert found[0]["line"] == 3
    assert found[0]["score"] == pytest.approx(1, abs=1e-5)
    own = "3" if embedded == "npy" else "the dog ran"
    assert found[0]["word"] == own
    alone = lmkit("w2v", "similar", "--vectors", "vectors", own, "--json", "--top", 2).records
    assert [one["line"] for one in alone] == [one["line"] for one in found]
    lines = lmkit("w2v", "similar", "--vectors", "vectors", "-b", "--top", 1, stdin=f"{own}\n".encode())
    assert lines.stdout.decode() == f"{own}\n"


@pytest.mark.parametrize(
    ("content", "arguments", "status", "said"),
    [
        (b"x\ty\n", ("a",), 3, "vectors:1: neither a record"),
        (b"", ("a",), 3, "no vectors"),
        (b'{"text": "a", "vector": [1]}\n{"text": "b", "vector": [1, 2]}\n', ("a",), 3, "vector 2 has 2 numbers"),
        (b'{"text": "a", "vector": [1]}\n', ("b",), 3, "'b': not one of the texts"),
        (b'{"text": "a", "vector": [1]}\n', ("a", "-m", "enc.lm"), 4, "vectors of 16 numbers, the file's 1"),
        (b'{"text": "a", "vector": [1]}\n', ("a", "--limit", "1"), 2, "--limit is for word vectors"),
        (b"\x93NUMPY\x01\x00", ("a",), 3, "a damaged .npy file"),
    ],
)
def test_bad_input(fails, write, content, arguments, status, said):
    write("enc.lm", encoder_file())
    write("vectors", content)
    assert said in fails(status, "w2v", "similar", "--vectors", "vectors", *arguments).stderr
