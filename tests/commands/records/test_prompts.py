"""`lmkit sample` with prompts from files, and how its texts are told."""

import json
import math
import os
import random

import numpy as np
import pytest
from conftest import NEURAL, without_context_notice

from lmkit.commands.loading.models import open_language_model

BATCHED = ("witten-bell-3.lm", "lstm.lm", "transformer.lm", "gru-stream.lm", "ffn.lm")


def lines_of(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.fixture
def sample(lmkit, shelf):
    def sample(*arguments, model="witten-bell-3.lm", stdin=b"", quiet=True):
        done = lmkit("sample", "-m", shelf[model], "--max-tokens", "6", *arguments, stdin=stdin)
        assert done.status == 0, done.stderr
        assert not (quiet and without_context_notice(done.stderr)), done.stderr
        return done

    return sample


# Lines.


def test_a_line_for_a_line(sample, write):
    write("a.txt", b"the cat\n\nthe dog")
    write("b.txt", "\ufeffel\r\n".encode())
    done = sample("a.txt", "b.txt")
    records = sample("--json", "a.txt", "b.txt").records
    assert done.text == "".join(record["text"] + "\n" for record in records)
    assert [(record["id"], record["prompt"]) for record in records] == [
        (1, "the cat"),
        (2, ""),
        (3, "the dog"),
        (4, "el"),
    ]
    assert sample("-", stdin=b"the cat\n\nthe dog\nel\n").text == done.text


def test_the_first_line_is_answered_as_a_prompt(sample):
    for prompt in ("the cat", ""):
        assert sample("-", stdin=prompt.encode() + b"\n").text == sample("--prompt", prompt).text


def test_no_lines_no_texts(sample):
    assert sample("-").text == ""
    assert sample("-", "--json", stdin=b"").text == ""


def test_the_model_from_stdin(lmkit, shelf, write, sample):
    write("a.txt", b"the cat\nthe dog\n")
    model = shelf["witten-bell-3.lm"].read_bytes()
    expected = sample("a.txt").text
    assert lmkit("sample", "--max-tokens", "6", "a.txt", stdin=model).text == expected
    assert lmkit("sample", "--max-tokens", "6", "-m", "-", "a.txt", stdin=model).text == expected


@pytest.mark.parametrize("arguments", [["-"], ["-m", "-", "-"], ["-", "-"], ["--input", "jsonl", "-"]])
def test_stdin_is_one_thing(arguments, fails):
    assert "stdin" in fails(2, "sample", *arguments).stderr


# Records.


def test_records_keep_what_they_have_and_their_order(sample, write):
    write("p.jsonl", lines_of(
        {"gold": [1, {"ñ": None}], "prompt": "the cat", "id": "x"}, {"prompt": "a\tb", "text": "mine"},
        {"id": 7, "prompt": "", "nats": "mine", "more": 1.5},
    ) + b"\n  \n" + lines_of({"prompt": "el", "id": None}))  # fmt: skip
    records = sample("p.jsonl").records
    assert [record["id"] for record in records] == ["x", 2, 7, 6]
    assert [record["prompt"] for record in records] == ["the cat", "a\tb", "", "el"]
    assert all(list(record)[:6] == ["id", "prompt", "text", "tokens", "nats", "finish_reason"] for record in records)
    assert records[0]["gold"] == [1, {"ñ": None}]
    assert records[2]["more"] == 1.5
    assert records[1]["text"] != "mine" != records[2]["nats"]


@pytest.mark.few(2)
@pytest.mark.parametrize("model", BATCHED)
def test_records_with_ids_get_the_same_texts_in_any_order(model, sample, write):
    records = [{"id": f"r{number}", "prompt": "the cat sat"[: number % 12]} for number in range(40)]
    write("p.jsonl", lines_of(*records))
    expected = sample("p.jsonl", "-n", "2", "--window", model=model).lines
    assert len(set(expected)) == 80
    random.Random(1).shuffle(records)
    write("q.jsonl", lines_of(*records))
    again = sample("q.jsonl", "-n", "2", "--window", model=model)
    assert sorted(again.lines) == sorted(expected)
    assert [record["id"] for record in again.records[::2]] == [record["id"] for record in records]


@pytest.mark.few(2)
@pytest.mark.parametrize("model", BATCHED)
def test_the_batch_changes_no_byte(model, sample, write):
    write("a.txt", b"the cat\n\nthe\nel arbol\n" * 3)
    expected = sample("a.txt", "--json", "--batch", "1", model=model).stdout
    for batch in ("2", "5", "32", "100"):
        assert sample("a.txt", "--json", "--batch", batch, model=model).stdout == expected
    assert (
        sample("a.txt", "--json", "--explain", "--logprobs", "0", model=model).records[5]["text"]
        == (sample("a.txt", "--json", model=model).records[5]["text"])
    )


def test_ids_that_are_one(sample, write):
    texts = set()
    for number in (7, 7.0, "7"):
        write("p.jsonl", lines_of({"id": number, "prompt": "the"}))
        texts.add(sample("p.jsonl", "--max-tokens", "20").records[0]["text"])
    write("p.txt", b"x\n" * 6 + b"the\n")
    texts.add(sample("p.txt", "--json", "--max-tokens", "20").records[6]["text"])
    assert len(texts) == 1


def test_an_id_that_comes_again_is_told(sample, write):
    write("p.jsonl", lines_of({"id": "a", "prompt": "the"}, {"id": 1, "prompt": "the"}, {"id": "a", "prompt": "the"}))
    done = sample("p.jsonl", quiet=False)
    assert done.stderr.startswith("lmkit: p.jsonl:3: id 'a' is repeated")
    assert done.records[0]["text"] == done.records[2]["text"]


def test_samples_of_prompts_are_numbered(sample):
    records = sample("--json", "-n", "2", "-", stdin=b"the\nel\n").records
    assert [(record["id"], record["sample"]) for record in records] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert "sample" not in sample("--json", "-", stdin=b"the\n").records[0]


@pytest.mark.parametrize(
    ("name", "options", "jsonl"),
    [
        ("p.jsonl", [], True), ("p.JSONL.gz", [], True), ("p.ndjson", [], True), ("p.txt", [], False),
        ("p", ["--input", "jsonl"], True), ("p.jsonl", ["--input", "text"], False), ("jsonl", [], False),
    ],
)  # fmt: skip
def test_what_a_file_holds(name, options, jsonl, sample, write):
    write(name, lines_of({"prompt": "the cat"}))
    record = sample(name, "--json", *options).records[0]
    assert (record["prompt"] == "the cat") == jsonl
    assert sample(name, *options).text.startswith("{") == jsonl


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"the cat", "not JSON"), (b"[1]", "object"), (b"{}", "prompt"), (b'{"prompt": 1}', "prompt"),
        (b'{"prompt": "a", "id": [1]}', "id"), (b'{"prompt": "a", "id": true}', "id"),
        (b'{"prompt": "\\ud800"}', "surrogate"),
        (b'{"prompt": "a", "x": NaN}', "NaN"), (b'{"prompt": "a", "x": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"prompt": "a", "x": ' + b"[" * 99999, "not JSON"), (b'{"prompt": "\xff"}', "UTF-8"),
        (b'{"prompt": "a\0"}', "not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_record(line, said, fails, shelf, write):
    write("p.jsonl", lines_of({"prompt": "the"}) + line + b"\n")
    done = fails(3, "sample", "-m", shelf["witten-bell-3.lm"], "p.jsonl")
    assert "p.jsonl:2" in done.stderr
    assert said in done.stderr
    assert done.stdout == b"" or len(done.records) == 1


@pytest.mark.few(2)
@pytest.mark.parametrize("name", BATCHED)
def test_threads_change_no_text(name, sample, monkeypatch):
    """Where texts are many enough, other processes go on with some."""
    started = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(name) or fork())
    prompts = lines_of(*({"id": f"text {number}", "prompt": "the" * (number % 2)} for number in range(20)))
    for form, stdin in ((["-n", "20"], b""), (["--json", "-n", "2", "--input", "jsonl", "-"], prompts)):
        alone = sample(*form, "--threads", "1", model=name, stdin=stdin)
        assert not started
        shared = sample(*form, "--threads", "2", model=name, stdin=stdin)
        assert shared.stdout == alone.stdout
        assert len(started) == 1
        started.clear()


# What fails.


@pytest.mark.parametrize("batch", ["1", "32"])
def test_a_prompt_that_is_too_long_is_named_when_those_before_are_done(batch, lmkit, shelf):
    prompts = b"the\na bird\n" + b"x" * 50 + b"\nthe\n"
    done = lmkit("sample", "-m", shelf["transformer.lm"], "--max-tokens", "6", "--batch", batch, "-", stdin=prompts)
    assert done.status == 3
    assert without_context_notice(done.stderr).startswith("lmkit sample: <stdin>:3: prompt of 50 tokens")
    assert len(done.lines) == 2
    assert lmkit("sample", "--window", "-m", shelf["transformer.lm"], "-", stdin=prompts).status == 0


@pytest.mark.parametrize("batch", ["1", "32"])
def test_a_line_that_nothing_can_follow_is_named(batch, lmkit, write):
    model = b"\\data\\\nngram 1=5\nngram 2=2\n\n\\1-grams:\n-99\t<unk>\n-99\t<s>\t0\n-99\t</s>\n-99\ta\t0\n-99\tb\t0\n"
    write("m.arpa", model + b"\n\\2-grams:\n0\t<s> a\n0\ta </s>\n\n\\end\\\n")
    done = lmkit("sample", "-m", "m.arpa", "--batch", batch, "-", stdin=b"\na\nb\na\n")
    assert (done.status, done.text) == (3, "a\n\n")
    assert done.stderr == "lmkit sample: <stdin>:3: no token can follow: all have probability zero\n"
    assert lmkit("sample", "-m", "m.arpa", "--prompt", "b").stderr.startswith("lmkit sample: no token can follow")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--prompt", "a", "p.txt"], ["--input", "text"], ["--input", "x", "p.txt"], ["--separator", "-", "--json"],
        ["--separator", "-", "p.jsonl"], ["--separator", "-", "--explain"], ["--logprobs", "1"],
        ["--logprobs", "1", "--explain"], ["--logprobs", "-1", "--json"], ["--batch", "0"],
        ["--greedy", "-p", "0.5", "p.txt"],
    ],
)  # fmt: skip
def test_options_that_make_no_sense(arguments, fails, shelf, write):
    write("p.txt", b"a\n")
    write("p.jsonl", lines_of({"prompt": "the"}))
    fails(2, "sample", "-m", shelf["four.arpa"], *arguments)


@pytest.mark.parametrize("arguments", [["nothing.txt"], ["."], ["junk"], ["junk", "--input", "jsonl"]])
def test_files_that_are_none(arguments, fails, shelf, write):
    write("junk", bytes(range(255, 0, -1)))
    fails(3, "sample", "-m", shelf["four.arpa"], *arguments)


def test_any_bytes_are_prompts_for_models_of_bytes(sample):
    done = sample("-", "--echo", model="byte-witten-bell.lm", stdin=b"a\xff\n\0\n")
    assert done.text.startswith("a\ufffd")
    assert len(done.lines) == 2
    done = sample("-", "--encoding-errors", "replace", stdin=b"a\xff\n", quiet=False)
    assert "1 invalid byte" in done.stderr


@pytest.mark.parametrize("command", ["sample", "next"])
def test_devices(command, fails, shelf):
    fails(2, command, "-m", shelf["four.arpa"], "--device", "cuda")
    fails(2, command, "-m", shelf["lstm.lm"], "--device", "x")
    fails(69, command, "-m", shelf["lstm.lm"], "--device", "mps")


# Texts of several lines.


def test_several_texts_are_a_line_each(sample):
    options = ["-n", "6", "--max-tokens", "40", "--seed", "2"]
    texts = [record["text"] for record in sample("--json", *options, model="gru-stream.lm").records]
    assert any("\n" in text for text in texts)
    assert sample(*options, model="gru-stream.lm").text == "".join(text.replace("\n", "\\n") + "\n" for text in texts)
    ended = [text if text.endswith("\n") else text + "\n" for text in texts]
    assert sample(*options, "--separator", "--", model="gru-stream.lm").text == "--\n".join(ended)
    assert sample("--max-tokens", "40", "--seed", "2", model="gru-stream.lm").text == ended[0]


@pytest.mark.few(3)
@pytest.mark.parametrize("model", [*NEURAL, "byte-witten-bell.lm", "witten-bell-3.lm"])
def test_pieces_make_what_records_say(model, sample):
    prompts = "the\n\nla niña\n".encode()
    for options in ([], ["--stop", "a", "--stop", "e c"], ["--echo"]):
        records = sample("--json", "--seed", "5", *options, "-", model=model, stdin=prompts).records
        lines = sample("--seed", "5", *options, "-", model=model, stdin=prompts).text.split("\n")[:-1]
        texts = [record["text"].replace("\n", "\\n") for record in records]
        if "--echo" in options:
            assert all(line.startswith(record["prompt"]) for line, record in zip(lines, records, strict=True))
            assert all(line.endswith(text) for line, text in zip(lines, texts, strict=True))
        else:
            assert lines == texts


# Each step.


def test_logprobs_are_those_of_the_text(sample):
    for options in (["-k", "2"], ["-t", "0.5"], []):
        record = sample("--json", "--logprobs", "2", "--prompt", "the", *options).records[0]
        steps = record["logprobs"]
        assert [list(step) for step in steps] == [["token", "id", "nats", "top"]] * len(steps)
        assert len(steps) == record["tokens"] + (record["finish_reason"] == "eos")
        assert math.fsum(step["nats"] for step in steps) == pytest.approx(record["nats"])
        assert " ".join(step["token"] for step in steps[: record["tokens"]]) == record["text"]
    assert all(len(step["top"]) == 2 for step in steps)
    assert all(step["top"][0]["nats"] >= step["top"][1]["nats"] for step in steps)
    assert sample("--json", "--logprobs", "0").records[0]["logprobs"][0]["top"] == []


def test_the_most_probable_are_those_of_next(sample, lmkit, shelf):
    step = sample("--json", "--logprobs", "3", "--prompt", "the", "-k", "2").records[0]["logprobs"][0]
    shown = lmkit("next", "--json", "--top", "3", "--prompt", "the", "-m", shelf["witten-bell-3.lm"]).records
    assert [one["token"] for one in step["top"]] == [record["token"] for record in shown]
    assert [one["nats"] for one in step["top"]] == pytest.approx([record["nats"] for record in shown])


def test_steps_say_what_was_left(sample, lmkit, shelf):
    options = ["-k", "3", "-t", "0.7", "--order", "top-k,temp,top-p", "--prompt", "the", "--seed", "3"]
    record = sample("--json", "--explain", *options).records[0]
    assert record["order"] == ["top-k", "temperature", "top-p"]
    assert [step["step"] for step in record["steps"]] == list(range(1, 1 + len(record["steps"])))
    shown = lmkit("next", "--json", "-m", shelf["witten-bell-3.lm"], *options[:-2]).records
    kept = record["steps"][0]["kept"]
    assert [one["token"] for one in kept] == [one["token"] for one in shown]
    assert [one["probability"] for one in kept] == pytest.approx([one["probability"] for one in shown])
    assert all(step["id"] in [one["id"] for one in step["kept"]] for step in record["steps"])
    assert all(len(step["kept"]) <= 3 for step in record["steps"])
    done = sample("--explain", *options, quiet=False)
    assert done.stderr == "lmkit: filters: top-k,temperature,top-p\n"
    drawn = [row["token"] for row in done.rows if row["drawn"] == "yes"]
    assert drawn == [step["token"] for step in record["steps"]]
    assert len(done.rows) == sum(len(step["kept"]) for step in record["steps"])


def test_steps_of_several_texts_are_told_apart(sample):
    rows = sample("--explain", "-n", "2", "-", stdin=b"the\nel\n", quiet=False).rows
    assert {(row["id"], row["sample"]) for row in rows} == {("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")}
    assert list(rows[0]) == ["id", "sample", "step", "token", "probability", "drawn"]


def test_a_prompt_of_several_lines_for_a_model_of_lines(fails, shelf, write):
    write("p.jsonl", lines_of({"prompt": "the"}, {"prompt": "the\ncat"}))
    done = fails(3, "sample", "-m", shelf["witten-bell-3.lm"], "p.jsonl")
    assert "p.jsonl:2: the prompt has several lines" in done.stderr
    assert "several lines" in fails(3, "next", "-m", shelf["witten-bell-3.lm"], "--prompt", "the\n").stderr


def test_an_id_beyond_all_numbers(fails, shelf, write):
    write("p.jsonl", b'{"prompt": "the", "id": 1e400}\n')
    assert "p.jsonl:1: its `id`" in fails(3, "sample", "-m", shelf["witten-bell-3.lm"], "p.jsonl").stderr


def test_of_a_long_prompt_an_ngram_model_reads_the_end(shelf):
    model = open_language_model(str(shelf["witten-bell-3.lm"]))
    for length in range(6):
        ids = np.arange(3, 3 + length, dtype=np.int32)
        state = model.start()
        for token in ids.tolist():
            state = model.advance(state, token)
        assert model.after(ids) == state
