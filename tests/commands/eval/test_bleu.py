"""`lmkit eval bleu`, held against sacrebleu's own command."""

import json
import subprocess
import sys

import pytest

SYSTEM = "El gato duerme en la casa.\n\nUn perro come , rápido\nel el el\nLa Luna\n".encode()
ONE = "El gato duerme en casa.\nnada\nUn perro come rápido.\n\nLa luna grande\n".encode()
TWO = "El gato está en la casa.\nalgo\nEl perro come, rápido\nel sol\nla luna\n".encode()


@pytest.fixture
def files(write):
    return write("sys.txt", SYSTEM), write("one.txt", ONE), write("two.txt", TWO)


def of_sacrebleu(*words):
    """Scores and signatures that sacrebleu's command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *map(str, words), "-w", "12"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    return [(one["score"], one["signature"]) for one in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("count", [1, 2])
def test_scores_are_those_of_sacrebleus_command(count, files, lmkit):
    system, *references = files
    references = references[:count]
    done = lmkit("eval", "bleu", system, "--references", *references, "--json", "--resamples", "0")
    (record,) = done.records
    expected = of_sacrebleu(*references, "-i", system, "-m", "bleu", "chrf")
    expected += of_sacrebleu(*references, "-i", system, "-m", "chrf", "--chrf-word-order", "2")
    assert list(record)[:4] == ["bleu", "chrf", "chrf++", "n"]
    for name, (score, signature) in zip(("bleu", "chrf", "chrf++"), expected, strict=True):
        assert record[name] == pytest.approx(score, abs=1e-9)
        assert record["signatures"][name] == signature
    assert record["n"] == 5


def test_tables(files, lmkit):
    system, one, _ = files
    done = lmkit("eval", "bleu", "--references", one, "--resamples", "20", stdin=SYSTEM)
    header, *rows = (line.split("\t") for line in done.text.splitlines())
    assert header == ["metric", "value", "low", "high", "signature"]
    assert [row[0] for row in rows] == ["bleu", "chrf", "chrf++"]
    assert rows[0][-1].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|sacrebleu:")
    assert all(row[-1].count("|version:") == 1 for row in rows)
    assert rows[0][-1].partition("|eval:bleu|bootstrap:percentile|resamples:20|")[1]
    bare = lmkit("eval", "bleu", "-b", system, "--references", one)
    assert float(bare.text) == pytest.approx(float(rows[0][1]), rel=1e-5)
    lower = lmkit("eval", "bleu", "--lowercase", "--tokenize", "char", "-b", system, "--references", one)
    assert float(lower.text) > float(bare.text)


def test_records_are_the_same_texts(files, lmkit, write):
    system, one, _ = files
    plain = lmkit("eval", "bleu", system, "--references", one, "--resamples", "9")
    data = "".join(json.dumps({"text": line}) + "\n" for line in SYSTEM.decode().splitlines())
    assert (
        lmkit("eval", "bleu", write("s.jsonl", data.encode()), "--references", one, "--resamples", "9").text
        == plain.text
    )


def test_a_second_system(files, lmkit):
    system, one, two = files
    words = ["--references", one, "--resamples", "99", "--json"]
    (record,) = lmkit("eval", "bleu", two, "--against", system, *words).records
    (alone,) = lmkit("eval", "bleu", system, *words).records
    assert record["against"] == {name: alone[name] for name in ("bleu", "chrf", "chrf++")}
    for name, difference in record["differences"].items():
        assert difference["value"] == record[name] - alone[name]
        assert difference["low"] <= difference["value"] <= difference["high"]
        assert 0.01 <= difference["p"] <= 1


def test_errors(files, fails, write, monkeypatch):
    system, one, _ = files
    assert "no references" in fails(2, "eval", "bleu", system).stderr
    assert (
        "'spm' is not one of 13a" in fails(2, "eval", "bleu", system, "--references", one, "--tokenize", "spm").stderr
    )
    short = write("short.txt", b"a\n")
    assert "sys.txt has 5 texts but short.txt has 1" in fails(3, "eval", "bleu", system, "--references", short).stderr
    assert "the input is empty" in fails(3, "eval", "bleu", "--references", one).stderr
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    assert "BLEU and chrF need sacrebleu" in fails(69, "eval", "bleu", system, "--references", one).stderr
