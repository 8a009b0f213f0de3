"""--json is accepted wherever a command prints JSON Lines anyway."""

import json
import shlex

import pytest

COMMANDS = [
    ["prompt", "zero-shot", "in.tsv"],
    ["prompt", "few-shot", "-k", "1", "shots.tsv", "in.tsv"],
    ["prompt", "cot", "-k", "0", "cot.jsonl", "in.tsv"],
    ["prompt", "fill", "--template", "[X]: [Z]", "in.tsv"],
    ["prompt", "chat", "--template", "chatml", "in.tsv"],
    ["data", "format", "--style", "t5", "--task", "say", "shots.tsv"],
    ["data", "next", "in.tsv"],
    ["prompt", "answer", "-m", "MODEL", "--prompt", "the", "--labels", "a,b"],
    ["prompt", "tree", "-m", "MODEL", "--prompt", "the", "--depth", "1", "--max-tokens", "2"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_json_changes_nothing(command, lmkit, shelf, write):
    write("in.tsv", b"the cat sat on the mat\n")
    write("cot.jsonl", b'{"question": "why", "reasoning": "so", "answer": "yes"}\n')
    write("shots.tsv", b"the dog\tthe log\n")
    command = [shelf["witten-bell-3.lm"] if word == "MODEL" else word for word in command]
    plain, asked = lmkit(*command), lmkit(*command, "--json")
    assert (plain.status, asked.status) == (0, 0), asked.stderr
    assert asked.stdout == plain.stdout
    assert all(isinstance(json.loads(line), dict) for line in asked.stdout.splitlines())


CALC = [
    ["softmax", "[1, 2]"], ["entropy", "[0.5, 0.5]"], ["perplexity", "[-1, -2]"], ["layernorm", "[1, 2, 4]"],
    ["posenc", "--position", "1", "--dimensions", "4"], ["w2v-softmax", '{"v": [1], "u": [[1], [2]]}'],
]  # fmt: skip


@pytest.mark.parametrize("command", CALC, ids=lambda command: command[0])
def test_json_changes_no_calculation(command, lmkit):
    plain, asked = lmkit("calc", *command), lmkit("calc", *command, "--json")
    assert (asked.status, asked.stdout) == (plain.status, plain.stdout)
    json.loads(asked.text)


REPORTS = [
    "ppl -m MODEL --json text.txt", "ppl -m MODEL --json --explain 'text.txt'",
    "score -m MODEL --json --pairs pairs.tsv",
    "entropy --json --unit-of 'word' text.txt", "entropy -m MODEL --json text.txt text.txt",
    "eval classify --json --gold text.txt text.txt", "eval text --json text.txt", "bpe stats -m MODEL --json text.txt",
    "ngram coverage --json text.txt text.txt", "scaling plan --preset gpt2 --json",
]  # fmt: skip


@pytest.mark.parametrize("command", REPORTS)
def test_a_report_ends_with_its_command_line(command, lmkit, shelf, write):
    write("text.txt", b"the cat sat\nthe dog sat\n")
    write("pairs.tsv", b"the cat\tthe the\n")
    write("a model.lm", shelf["witten-bell-3.lm"].read_bytes())
    words = shlex.split(command.replace("MODEL", "'a model.lm'"))
    done = lmkit(*words)
    assert done.status == 0, done.stderr
    record = json.loads(done.lines[-1])
    assert list(record)[-1] == "command"
    assert record["command"] == shlex.join(["lmkit", *words])
    again = lmkit(*shlex.split(record["command"])[1:])
    assert again.stdout == done.stdout


@pytest.mark.parametrize("command", ["fill", "chat"])
def test_json_and_bare_exclude_each_other(command, fails):
    assert "--bare and --json" in fails(2, "prompt", command, "--template", "chatml", "-b", "--json").stderr


def test_named_formats_as_records(lmkit):
    records = lmkit("prompt", "fill", "--list", "--json").records
    assert all(list(record) == ["name", "fields", "example"] for record in records)


def test_booleans_are_labels(lmkit, write):
    shots = write("shots.jsonl", b'{"input": "good", "label": true}\n{"input": "bad", "label": false}\n')
    (record,) = lmkit("prompt", "few-shot", "-k", "2", shots, stdin=b"fine\n").records
    assert record["labels"] == ["true", "false"]
    assert "good => true\n" in record["prompt"]


def test_a_text_that_begins_like_a_header_length_is_a_text(lmkit, fails, write):
    text = write("text", b"12345678{ hello\n")
    done = lmkit("ngram", "fit", text, "-o", "m.lm")
    assert (done.status, "checkpoint" in done.stderr) == (0, False)
    assert "neither a checkpoint nor an ARPA file" in fails(4, "info", text).stderr


def test_the_model_to_prune_is_an_argument_too(lmkit, fails, shelf, work):
    model = shelf["witten-bell-3.lm"]
    assert lmkit("ngram", "prune", model, "-o", "one.lm").status == 0
    assert lmkit("ngram", "prune", "-m", model, "-o", "other.lm").status == 0
    assert (work / "one.lm").read_bytes() == (work / "other.lm").read_bytes()
    assert "named twice" in fails(2, "ngram", "prune", model, "-m", model).stderr


@pytest.mark.parametrize(("normalisation", "x"), [("layernorm", "[1,1,1]"), ("rmsnorm", "[0,0]")])
def test_a_division_by_zero_is_named(normalisation, x, fails, lmkit):
    done = fails(3, "calc", "layernorm", "--normalisation", normalisation, x, "--epsilon", "0")
    assert "is 0, and --epsilon 0 leaves a division by 0" in done.stderr
    assert lmkit("calc", "layernorm", "--normalisation", normalisation, "[1, 2]", "--epsilon", "0").status == 0


def test_the_refusal_of_one_of_names_no_option_of_others(fails, shelf):
    pytest.importorskip("llguidance")
    schema = '{"oneOf": [{"type": "object"}, {"type": "object", "properties": {"a": {"type": "string"}}}]}'
    done = fails(2, "sample", "-m", shelf["byte-witten-bell.lm"], "--json-schema", schema)
    assert "oneOf constraints are not supported\n" in done.stderr
    assert "coerce" not in done.stderr


@pytest.mark.parametrize("stop", [" ", "cat", " the"])
@pytest.mark.parametrize("name", ["witten-bell-3.lm", "char-witten-bell.lm"])
def test_no_word_is_lost_between_thoughts(stop, name, lmkit, shelf):
    (record,) = lmkit(
        "prompt", "tree", "-m", shelf[name], "--prompt", "a ", "--stop", stop, "--depth", "3", "--max-tokens", "6"
    ).records
    left = record["text"]
    for thought in record["thoughts"]:
        before, _, left = left.partition(thought) if thought else ("", "", left)
        assert before in ("", " ", stop, f" {stop}", f" {stop} ")
    assert left.removeprefix(" ") in ("", stop.strip())
