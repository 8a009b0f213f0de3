"""`lmkit sample` with texts held to a grammar, and with their format checked."""

import json
import re
import sys
from pathlib import Path

import pytest
from conftest import without_context_notice
from random_weights import random_weights

from lmkit.checkpoint import serialize
from lmkit.io.limited_process import Limits
from lmkit.tokenization.tokenizers import ByteTokenizer

pytest.importorskip("llguidance")

SHAPE = {"layers": 1, "width": 8, "heads": 1, "kv_heads": 1, "head_width": 8, "hidden": 8, "context": 64}
RECORDS = {
    "type": "array", "minItems": 2, "maxItems": 2,
    "items": {"enum": [["Killing", "shot"], ["Robbery", "robó"], ["Abusing", "a \"b\""]]},
}  # fmt: skip


@pytest.fixture
def bytes_model(write):
    """A transformer of bytes whose weights are random."""
    weights = random_weights("transformer", ByteTokenizer(), **SHAPE)
    return write("bytes.lm", b"".join(serialize(weights.to_checkpoint({}))))


@pytest.fixture
def sampled(lmkit, bytes_model):
    """The texts of a command that has to do."""

    def sampled(*arguments):
        done = lmkit("sample", "-m", bytes_model, "--json", "--max-tokens", 500, *arguments)
        assert (done.status, without_context_notice(done.stderr)) == (0, "")
        return [record["text"] for record in done.records]

    return sampled


def test_each_kind_of_grammar(sampled, write):
    for text in sampled("--json-schema", json.dumps(RECORDS), "-n", 9):
        assert all(record in RECORDS["items"]["enum"] for record in json.loads(text))
        assert len(json.loads(text)) == 2
    schema = write("schema.json", b"\xef\xbb\xbf" + json.dumps(RECORDS).encode())
    assert sampled("--json-schema", schema, "-n", 3) == sampled("--json-schema", json.dumps(RECORDS), "-n", 3)
    assert all(re.fullmatch("[0-9]{4}-[é-ñ]+", text) for text in sampled("--regex", "[0-9]{4}-[é-ñ]+", "-n", 9))
    assert set(sampled("--choice", "0", "--choice", "", "--choice", "01", "-n", 40, "-t", 5)) == {"0", "", "01"}
    grammar = write("g.lark", b'start: "(" start ")" | "x"\n')
    assert all(re.fullmatch("[(]*x[)]*", text) for text in sampled("--grammar", grammar, "-n", 9))


def test_each_way_of_choosing_keeps_to_the_grammar(sampled):
    for way in (["--greedy"], ["-k", 1], ["-p", "0.2"], ["-t", "0"], ["-t", "9", "-k", 3], ["--stop", "Z"]):
        assert all(re.fullmatch("[ab]{3}(?:c|dé)", text) for text in sampled("--regex", "[ab]{3}(c|dé)", "-n", 3, *way))


def test_the_same_seed_gives_the_same_bytes(lmkit, bytes_model):
    command = ["sample", "-m", bytes_model, "--regex", "[a-z]{20}", "--seed", 3]
    first = lmkit(*command, "-n", 40)
    assert lmkit(*command, "-n", 40) == first
    assert lmkit(*command, "-n", 1).lines == first.lines[:1]


def test_a_text_that_is_cut_gives_status_1_and_one_that_is_complete_does_not(lmkit, bytes_model, one_line):
    cut = lmkit("sample", "-m", bytes_model, "--json", "--max-tokens", 5, "-n", 2, "--regex", "[ab]{9}")
    assert cut.status == 1
    assert [record["finish_reason"] for record in cut.records] == ["length"] * 2
    assert cut.stderr.startswith("lmkit sample: 2 of 2 texts were cut before they were complete: id 0, 1\n")
    one_line(cut.stderr)
    done = lmkit("sample", "-m", bytes_model, "--json", "--max-tokens", 5, "-n", 2, "--regex", "[ab]{5,9}")
    assert (done.status, done.stderr) == (0, "")
    assert [record["finish_reason"] for record in done.records] == ["length"] * 2
    stopped = lmkit("sample", "-m", bytes_model, "--stop", "b", "-n", 20, "--regex", "ab")
    assert (stopped.status, set(stopped.lines)) == (1, {"a"})
    assert "and 10 more" in stopped.stderr


def test_formats_are_checked(lmkit, bytes_model, write):
    csv = ["--regex", "[a-c]{2}(,[a-c])?", "--format", "csv"]
    assert lmkit("sample", "-m", bytes_model, "-n", 9, *csv).status == 0
    done = lmkit(
        "sample", "-m", bytes_model, "-n", 30, "--format", "json", "--choice", "[1]", "--choice", "[1", "-o", "o"
    )
    lines = Path("o").read_text().split("\n")[:-1]
    wrong = [str(place) for place, line in enumerate(lines) if line == "[1"]
    assert len(lines) == 30
    assert 0 < len(wrong) < 30
    assert done.status == 1
    assert f"{len(wrong)} of 30 texts are not valid JSON: id {', '.join(wrong[:10])}" in done.stderr


@pytest.mark.parametrize(
    ("status", "arguments", "told"),
    [
        (2, ["--regex", "(a"], "--regex: unclosed group"),
        (2, ["--regex", "a", "--choice", "b"], "--regex and --choice exclude each other"),
        (2, ["--json-schema", "{}", "--grammar", "x"], "exclude each other"),
        (2, ["--json-schema", "{"], "--json-schema: not JSON"),
        (2, ["--json-schema", '{"not": {}}'], '--json-schema: Unimplemented keys: ["not"]'),
        (2, ["--json-schema", "[]"], "not a JSON schema"),
        (2, ["--json-schema", '{"not":' * 99999], "nested too deeply"),
        (2, ["--format", "xml"], "xml"),
        (3, ["--json-schema", "nowhere"], "nowhere: No such file"),
        (3, ["--json-schema", "bytes.lm"], "bytes.lm: not UTF-8"),
        (3, ["--grammar", "g.lark"], 'g.lark: line 2, column 6: unknown name: "y"'),
        (3, ["--grammar", "."], "Is a directory"),
        (2, ["--grammar", "-", "-m", "-"], "stdin is wanted for two things"),
    ],
)
def test_what_is_wrong_is_one_line(status, arguments, told, bytes_model, write, fails):
    write("g.lark", b'start: x\n  x: "a" y\n')
    assert told in fails(status, "sample", "-m", bytes_model, *arguments).stderr


def test_a_vocabulary_that_lacks_what_must_be_written(shelf, fails):
    told = fails(2, "sample", "-m", shelf["char-witten-bell.lm"], "--choice", "{}").stderr
    assert "no tokens that spell the choice '{}'" in told
    told = fails(3, "sample", "-m", shelf["char-witten-bell.lm"], "--regex", "the {1,3}#").stderr
    assert "the model has no token that the constraint allows after 'the" in told
    told = fails(3, "sample", "-m", shelf["juan.lm"], "--regex", "salto Juan").stderr
    assert "no token can follow: all have probability zero" in told


def test_without_the_engine_its_installation_is_told(fails, bytes_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    assert "llguidance" in fails(69, "sample", "-m", bytes_model, "--regex", "a").stderr


@pytest.mark.slow
def test_a_schema_that_takes_for_ever_ends(fails, bytes_model, monkeypatch):
    monkeypatch.setattr("lmkit.io.limited_process.LIMITS", Limits(2.0))
    schema = '{"type": "integer", "multipleOf": 1000003}'
    done = fails(3, "sample", "-m", bytes_model, "--json-schema", schema)
    assert "--json-schema: not done within 2 s, the limit" in done.stderr
    record = json.dumps({"prompt": "a", "json_schema": json.loads(schema)}).encode()
    done = fails(3, "sample", "-m", bytes_model, "--input", "jsonl", "-", stdin=record)
    assert "<stdin>:1: json_schema: not done within 2 s, the limit" in done.stderr
