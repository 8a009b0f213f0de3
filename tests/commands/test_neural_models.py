"""`sample`, `next`, `score`, `compress` and `info` on neural models."""

import math
import sys

import numpy as np
import pytest
from conftest import without_digests
from random_weights import random_weights
from rounding import allowance, assert_nats, shape_of, spread

from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import serialize
from lmkit.commands.loading.models import open_language_model, open_tokenizer, use_threads
from lmkit.inference import thread_pool

EVERY = ("transformer.lm", "transformer-stream.lm", "lstm.lm", "gru-stream.lm", "mingru-file.lm", "ffn-documents.lm")
NEWLINE = ("transformer-stream.lm", "gru-stream.lm")


@pytest.fixture
def padded(shelf, write):
    """A model with more ids than its tokenizer has."""
    tokenizer = open_tokenizer(str(shelf["char-witten-bell.lm"]))
    own = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 8, "context": 16}
    weights = random_weights("transformer", tokenizer, by="file", vocabulary=600, **own)
    return write("padded.lm", b"".join(serialize(weights.to_checkpoint({}))))


@pytest.mark.parametrize("name", EVERY)
def test_next_gives_a_distribution(name, lmkit, shelf):
    records = lmkit("next", "-m", shelf[name], "--prompt", "the c", "--all", "--json").records
    assert math.fsum(record["probability"] for record in records) == pytest.approx(1, abs=1e-9)
    assert [record["nats"] for record in records] == sorted((record["nats"] for record in records), reverse=True)
    assert {record["id"] for record in records} == set(range(open_language_model(str(shelf[name])).tokenizer.size))


@pytest.mark.parametrize("name", NEWLINE)
def test_line_ends_are_printed_and_end_nothing(name, lmkit, shelf):
    arguments = ("sample", "-m", shelf[name], "--max-tokens", 200, "--seed", 3)
    (record,) = lmkit(*arguments, "--json").records
    assert (record["tokens"], record["finish_reason"]) == (200, "length")
    assert "\n" in record["text"].strip("\n")
    assert "<" not in record["text"]
    text = record["text"]
    assert lmkit(*arguments).text == text + ("" if text.endswith("\n") else "\n")
    assert lmkit(*arguments, "--prompt", "a\nb", "--echo").text.startswith("a\nb")


def test_texts_end_with_documents_and_lines(lmkit, shelf):
    for name in ("ffn-documents.lm", "mingru-file.lm", "lstm.lm", "transformer.lm"):
        records = lmkit("sample", "-m", shelf[name], "-n", 40, "--max-tokens", 400, "--json").records
        ended = [record for record in records if record["finish_reason"] == "eos"]
        assert ended
        several = any("\n" in record["text"] for record in records)
        assert several == open_language_model(str(shelf[name])).form.multiline


@pytest.mark.few(2)
@pytest.mark.parametrize("name", EVERY)
def test_what_is_sampled_costs_what_score_says(name, lmkit, shelf):
    model = open_language_model(str(shelf[name]))
    (record,) = lmkit("sample", "-m", shelf[name], "--max-tokens", 1, "--seed", 5, "--json").records
    records = lmkit("next", "-m", shelf[name], "--all", "--json").records
    rounded = allowance(spread(model.next(model.start())), **shape_of(model.settings))
    assert any(record["nats"] == pytest.approx(other["nats"], abs=rounded) for other in records)
    line = lmkit("score", "-m", shelf[name], "--json", stdin=b"a cat\n").records[0]
    state, nats = model.start(), 0.0
    for token in [*model.tokenizer.encode(b"a cat").tolist(), model.tokenizer.specials["eos"]]:
        nats += model.next(state)[token]
        state = model.advance(state, token)
    assert_nats(model, line["nats"], nats)


def test_the_prompt_of_several_lines_is_one_text(lmkit, shelf):
    model = open_language_model(str(shelf["gru-stream.lm"]))
    ids = [*model.tokenizer.encode(b"a").tolist(), 2, *model.tokenizer.encode(b"b").tolist()]
    state = model.start()
    for token in ids:
        state = model.advance(state, token)
    records = lmkit("next", "-m", shelf["gru-stream.lm"], "--prompt", "a\nb", "--all", "--json").records
    for record in records:
        assert_nats(model, record["nats"], model.next(state)[record["id"]])


@pytest.mark.parametrize("command", ["sample", "next"])
def test_a_prompt_longer_than_the_context(command, lmkit, fails, shelf):
    model, prompt = shelf["transformer.lm"], "the cat s"
    done = fails(3, command, "-m", model, "--prompt", prompt)
    assert "prompt of 9 tokens exceeds the model's context of 8" in done.stderr
    assert "--window" in done.stderr
    windowed = lmkit(command, "-m", model, "--prompt", prompt, "--window", "--json").stdout
    last = lmkit(command, "-m", model, "--prompt", prompt[1:], "--json").stdout
    assert windowed.replace(prompt.encode(), b"") == last.replace(prompt[1:].encode(), b"")
    for name in ("lstm.lm", "ffn.lm", "char-katz.lm"):
        assert lmkit(command, "-m", shelf[name], "--prompt", prompt * 100, "--window").status == 0
        assert lmkit(command, "-m", shelf[name], "--prompt", prompt * 100).status == 0


def test_ids_without_a_piece_are_not_drawn(lmkit, padded):
    done = lmkit("sample", "-m", padded, "-n", 20, "--max-tokens", 40, "--json")
    assert done.status == 0
    assert len({record["text"] for record in done.records}) == 20
    shown = lmkit("next", "-m", padded, "--all", "--json").records
    assert {record["id"] for record in shown} == set(range(open_tokenizer(str(padded)).size))
    model = open_language_model(str(padded))
    for record in shown:  # as probable as the weights say, though others are then missing
        nats = model.score_many(np.array([record["id"]], dtype=np.int32), np.array([1]))
        assert_nats(model, record["nats"], nats[0])


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_same_bytes(name, lmkit, shelf):
    several = lmkit("sample", "-m", shelf[name], "-n", 4, "--max-tokens", 30, "--json", "--seed", 9).lines
    assert len(set(several)) == 4
    assert lmkit("sample", "-m", shelf[name], "-n", 2, "--max-tokens", 30, "--json", "--seed", 9).lines == several[:2]


@pytest.mark.parametrize("name", EVERY)
def test_texts_are_compressed_and_restored(name, lmkit, shelf, work):
    text = b"the cat sat\n\non the mat\xff zz\na dog"
    done = lmkit("compress", "-q", "-m", shelf[name], stdin=text)
    assert done.status == 0, done.stderr
    assert lmkit("decompress", "-q", "-m", shelf[name], stdin=done.stdout).stdout == text


@pytest.mark.few(2)
@pytest.mark.parametrize("name", EVERY)
def test_factors_of_a_line(name, lmkit, shelf):
    (record,) = lmkit("score", "-q", "-m", shelf[name], "--explain", "--json", stdin=b"the cat\n").records
    assert math.fsum(factor["nats"] for factor in record["factors"]) == pytest.approx(record["nats"])
    assert [factor["token"] for factor in record["factors"]] == [*"the cat", "</s>"]
    assert all(factor["order"] == len(factor["context"]) for factor in record["factors"])


@pytest.mark.parametrize("name", EVERY)
def test_info_counts_parameters(name, lmkit, shelf):
    (record,) = lmkit("info", "--json", shelf[name]).records
    model = open_language_model(str(shelf[name]))
    assert record["parameters"] == model.settings.parameters
    assert record["kind"] == model.kind
    assert {key: record["config"][key] for key in model.settings.to_json()} == model.settings.to_json()
    rows = dict(line.split("\t") for line in lmkit("info", shelf[name]).lines)
    assert rows["parameters"] == str(model.settings.parameters)
    assert rows["vocabulary"] == str(model.tokenizer.size)
    assert rows["text.by"] == model.form.by
    assert "" not in rows.values()


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_do_not_change_the_count(heads):
    same = TransformerConfig(vocabulary=9, width=16, heads=heads, kv_heads=heads, head_width=16 // heads, hidden=8)
    assert (
        same.parameters
        == TransformerConfig(vocabulary=9, width=16, heads=1, kv_heads=1, head_width=16, hidden=8).parameters
    )


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "arguments",
    [("sample", "--max-tokens", "5"), ("next",), ("info",), ("compress", "-q", "text")],
)
@pytest.mark.parametrize("name", ["transformer-stream.lm", "lstm.lm", "ffn.lm"])
def test_torch_is_not_imported(arguments, name, process, shelf, write, work):
    write("text", b"a cat\n")
    write(
        "sitecustomize.py",
        b"import atexit, sys\natexit.register(lambda: print(*sorted(sys.modules), sep='\\n', file=sys.stderr))\n",
    )
    done = process(*arguments, "-m", shelf[name], env={"PYTHONPATH": f"{work}:{sys.path[0]}:{_root()}"})
    assert done.status == 0, done.stderr
    assert done.stdout
    modules = set(done.stderr.split("\n"))
    assert "lmkit.cli" in modules
    assert not modules & {"torch", "tokenizers", "scipy"}


def _root():
    import lmkit

    return lmkit.__path__[0].rsplit("/", 1)[0]


@pytest.mark.parametrize(
    ("threads", "size", "asked", "expected"),
    [
        (None, 10, None, 1),
        (None, 64 << 20, "2", 2),
        (None, 64 << 20, "3", 3),
        (5, 10, None, 5),
        (1, 64 << 20, "8", 1),
    ],
)
def test_how_many_threads(threads, size, asked, expected, work, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked or "")
    with open("file", "wb") as out:
        out.truncate(size)
    use_threads(threads, "file")
    assert thread_pool.thread_count() == expected
    thread_pool.use(1)


@pytest.mark.parametrize("command", ["sample", "next"])
def test_the_number_of_threads_changes_no_byte(command, lmkit, shelf):
    """Of models whose matrices are big enough to be shared, the tests of products see to it."""
    found = {lmkit(command, "-m", shelf["lstm.lm"], "--threads", threads).stdout for threads in (1, 2, 5)}
    thread_pool.use(1)
    assert len(found) == 1


def test_a_tokenizer_that_is_not_the_models(shelf, write, fails):
    """A file whose weights have fewer ids than its tokenizer."""
    tokenizer = open_tokenizer(str(shelf["char-witten-bell.lm"]))
    weights = random_weights("rnn", tokenizer, vocabulary=tokenizer.size - 1, width=4)
    write("short.lm", b"".join(serialize(weights.to_checkpoint({}))))
    assert "damaged checkpoint" in fails(4, "sample", "-m", "short.lm").stderr


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b'\\"layers\\":2,', b'\\"layers\\":9,', "no tensor"),
        (b'\\"layers\\":2,', b'\\"layers\\":2000000000,', "2000000000 layers are more than 4096"),
        (b'\\"context\\":8,', b'\\"context\\":0,', "context 0 is outside"),
        (b'\\"heads\\":2,', b'\\"heads\\":2.5,', "is absent or invalid"),
        (b'\\"heads\\":2,', b'\\"heads\\":3,', "expected"),
        (b'\\"positions\\":\\"rope\\"', b'\\"positions\\":\\"ropy\\"', "is not one of"),
    ],
)
def test_damaged_settings(before, after, told, shelf, write, fails):
    data = without_digests(shelf["transformer.lm"].read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length]
    assert before in header
    header = header.replace(before, after)
    write("damaged.lm", len(header).to_bytes(8, "little") + header + data[8 + length :])
    for command in ("sample", "next"):
        assert told in fails(4, command, "-m", "damaged.lm").stderr
