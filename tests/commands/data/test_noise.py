"""`lmkit data noise`."""

import pytest

from lmkit.commands.options.denoising import KINDS
from lmkit.data import denoising

TEXT = "El gato  duerme. ¿Y el perro? El perro ladra mucho.\n\nuno\n".encode()


@pytest.mark.parametrize("kind", [*KINDS, "permute,infill"])
def test_a_record_for_each_line(kind, lmkit):
    done = lmkit("data", "noise", "--kind", kind, stdin=TEXT)
    assert (done.status, done.stderr) == (0, "")
    assert [record["target"] for record in done.records] == TEXT.decode().splitlines()
    assert done.records[1]["input"] == ""
    assert done.records == lmkit("data", "noise", "--kind", kind, "--seed", 0, stdin=TEXT).records
    assert any(
        done.records != lmkit("data", "noise", "--kind", kind, "--seed", seed, stdin=TEXT).records for seed in (1, 2, 3)
    )


def test_what_each_kind_changes(lmkit):
    def noised(kind, rate=0.5):
        return lmkit("data", "noise", "--kind", kind, "--rate", rate, stdin=TEXT).records[0]["input"]

    words = TEXT.decode().splitlines()[0].split()
    assert len(noised("mask").split()) == len(words)
    assert noised("mask").count("<mask>") == 5
    assert len(noised("delete").split()) == 5
    assert sorted(noised("permute").split()) == sorted(noised("rotate").split()) == sorted(words)
    assert noised("infill", 1.0).split() == ["<mask>"] * noised("infill", 1.0).count("<mask>")


def test_ids_and_the_names_of_kinds(lmkit, fails):
    assert denoising.KINDS == KINDS
    lmkit("bpe", "train", "--vocab-size", 280, "--special", "<mask>", "-o", "bpe.lm", stdin=TEXT)
    (record,) = lmkit("data", "noise", "--tokens", "bpe.lm", "--as", "ids", "--rate", 1, stdin=b"abcdefgh").records
    assert set(record["input_ids"]) == {3}
    assert len(record["labels"]) == 8
    assert "'x' is not one of mask, delete" in fails(2, "data", "noise", "--kind", "mask,x", stdin=b"a").stderr
    lmkit("bpe", "train", "--vocab-size", 280, "-o", "plain.lm", stdin=TEXT)
    assert "no mask token" in fails(4, "data", "noise", "--tokens", "plain.lm", "--as", "ids", stdin=b"a").stderr
