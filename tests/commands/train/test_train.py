"""`lmkit train`: what it makes of texts and options, and what it says of those it can't use."""

import json
from pathlib import Path

import numpy as np
import pytest
from rounding import assert_close

from lmkit import checkpoint
from lmkit.commands.loading.models import open_tokenizer

SMALL = {
    "transformer": ["--layers", "1", "--width", "8", "--heads", "2", "--context", "8"],
    "rnn": ["--layers", "1", "--width", "8", "--bptt", "8"],
    "ffn": ["--width", "8", "--hidden", "8"],
}
KINDS = tuple(SMALL)
TEXT = b"the cat sat on the mat\nthe dog sat on the log\na cat and a dog\n\nthe end\n" * 4


@pytest.fixture
def train(lmkit, write, work):
    """Trains a tiny model of a text for a few steps; gives the checkpoint."""
    write("text.txt", TEXT)

    def train(kind, *options, files=("text.txt",), output="out.lm"):
        done = lmkit(*command(kind), *files, *options, "-o", output)
        assert done.status == 0, done.stderr
        return checkpoint.parse((work / output).read_bytes())

    return train


def command(kind):
    return ["train", kind, "--threads", "1", "--steps", "3", "--batch", "4", *SMALL[kind]]


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# Shapes.


def test_parameters_do_not_depend_on_heads_but_for_norms_as_wide_as_heads(train):
    """Row F2: in the one layer there is such a norm for queries and one for keys."""

    def parameters(heads, *options):
        made = train("transformer", "--width", "16", "--heads", heads, "--steps", "1", *options)
        return sum(tensor.size for tensor in made.tensors.values())

    for heads in (1, 2, 4, 8):
        without = parameters(heads, "--no-query-key-norm")
        assert without == parameters(1, "--no-query-key-norm")
        assert parameters(heads) == without + 2 * 16 // heads


def test_the_place_of_norms(train, lmkit, work):
    """Row F10: three places, one of them with two names; `pre` has one more norm, before the head."""
    sizes = {}
    for norm in ("pre", "post", "course", "res-post"):
        made = train("transformer", "--norm", norm, "--steps", "1", output=f"{norm}.lm")
        sizes[norm] = sum(tensor.size for tensor in made.tensors.values())
        assert ("norm.weight" in made.tensors) == (norm == "pre")
    assert sizes["post"] == sizes["course"] == sizes["pre"] - made.config["width"]
    assert (work / "res-post.lm").read_bytes() == (work / "course.lm").read_bytes()
    text = " ".join(lmkit("train", "transformer", "--help").text.split())
    assert "one more norm" in text
    assert "course" not in text


# The same command, the same bytes.


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_command_gives_the_same_bytes(kind, train, lmkit, work):
    train(kind)
    for other in (["--log", "log.jsonl"], ["--save-every", "0"]):
        train(kind, *other, output="other.lm")
        assert (work / "other.lm").read_bytes() == (work / "out.lm").read_bytes()
    piped = lmkit(*command(kind), stdin=TEXT)
    assert piped.stdout == (work / "out.lm").read_bytes()
    train(kind, "--seed", "5000000000", output="other.lm")
    assert (work / "other.lm").read_bytes() != (work / "out.lm").read_bytes()
    assert sorted(path.name for path in work.iterdir()) == ["log.jsonl", "other.lm", "out.lm", "text.txt"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [("ffn", []), ("rnn", ["--accumulate", "2", "--dropout", "0.2"]), ("transformer", ["--valid-fraction", "0.3",
     "--evaluate-every", "1", "--select-by", "loss"])],
)  # fmt: skip
def test_a_stopped_run_goes_on_to_the_same_bytes_and_log(kind, more, train, lmkit, work):
    from lmkit.commands.training_run.session import Session
    from lmkit.errors import Status, Stopped

    train(kind, *more, "--steps", "6", "--log", "whole.jsonl")
    real = Session.save

    def asked_at(step):
        def save(self):
            real(self)
            if self.point.step == step:
                raise Stopped(Status.INTERRUPTED)  # as if killed right after a save

        return save

    for step in (1, 4):
        arguments = [*command(kind), "text.txt", *more, "--steps", "6", "--save-every", "0", "--log", "log.jsonl"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "save", asked_at(step))
            with pytest.raises(Stopped):
                lmkit(*arguments, "--resume", "-o", "other.lm")
        with (work / "log.jsonl").open("a") as log:
            log.write('{"event":"step","st')  # a line that a kill cut short
        assert (work / "other.lm.state").exists()
        assert not (work / "other.lm").exists()
    done = lmkit(*arguments, "--resume", "-o", "other.lm")
    assert done.status == 0
    assert "lmkit: going on from step 4\n" in done.stderr
    assert (work / "other.lm").read_bytes() == (work / "out.lm").read_bytes()
    assert not (work / "other.lm.state").exists()
    told = [[e for e in events(work / log) if e["event"] != "saved"] for log in ("log.jsonl", "whole.jsonl")]
    assert [(e["event"], e["step"], e["nats"]) for e in told[0]] == [
        (e["event"], e["step"], e["nats"]) for e in told[1]
    ]


def test_a_state_of_another_run_is_refused(train, lmkit, fails, work, write):
    state = b"".join(checkpoint.serialize(checkpoint.Checkpoint("training-state", {"fingerprint": {}}, {})))
    write("out.lm.state", state)
    write("text.txt", TEXT)
    done = fails(4, *command("ffn"), "text.txt", "--resume", "-o", "out.lm")
    assert "out.lm.state: the state of another run" in done.stderr
    assert "--restart starts over" in done.stderr
    for junk in (b"", b"junk" * 10, TEXT):
        write("out.lm.state", junk)
        assert "out.lm.state: " in fails(4, *command("ffn"), "text.txt", "--resume", "-o", "out.lm").stderr
    assert "--resume reads OUTPUT.state, so it needs -o" in fails(2, *command("ffn"), "text.txt", "--resume").stderr


def test_resuming_without_a_state_begins_but_replaces_no_model(lmkit, fails, write, work):
    write("text.txt", TEXT)
    done = lmkit(*command("ffn"), "text.txt", "--resume", "-o", "out.lm")
    assert done.status == 0
    assert "out.lm.state is not there: training begins" in done.stderr
    model = (work / "out.lm").read_bytes()
    again = fails(2, *command("ffn"), "text.txt", "--resume", "-o", "out.lm")
    assert "out.lm is finished: out.lm.state, to resume from, is not there" in again.stderr
    assert (work / "out.lm").read_bytes() == model
    assert lmkit(*command("ffn"), "text.txt", "--restart", "-o", "out.lm").status == 0


# Texts.


@pytest.mark.few(4)
@pytest.mark.parametrize("by", ["stream", "line", "file", "blank-line"])
@pytest.mark.parametrize("kind", KINDS)
def test_ways_of_reading(kind, by, train, write, work):
    """An epoch of documents, all in one batch, has every token of the text, and so has validation."""
    write("short.txt", b"the cat\n\na mat\n")
    options = [] if by == "stream" else ["--by", by, "--batch", "100"]
    made = train(kind, *options, "--valid", "short.txt", "--log", "log.jsonl")
    assert made.config["text"]["by"] == by
    first, *_, last = events(work / "log.jsonl")
    characters = len(TEXT)  # a line end is a token
    wanted = {"line": characters, "file": characters + 1, "blank-line": characters - 4 + 5}
    if by != "stream":
        assert first["tokens"] == wanted[by]
    assert last["event"] == "evaluation"
    assert 0 < last["accuracy"] < 1
    assert made.origin["trained"]["validation"]["nats"] == last["nats"]
    if by != "stream":
        packed = train(kind, *options, "--pack", "--log", "packed.jsonl")
        assert packed.config["text"] == made.config["text"]
        assert events(work / "packed.jsonl")[0]["tokens"] != first["tokens"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_loss_is_that_of_a_model_that_knows_nothing(kind, train, work):
    made = train(kind, "--log", "log.jsonl", "--lr", "0", "--matrix-lr", "0")
    for event in events(work / "log.jsonl"):
        assert_close(event["nats"], np.log(made.config["vocabulary"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_models_loss_is_its_perplexity(kind, train, lmkit, work, write):
    """Row D5: the loss before a step is what `ppl` says of the same tokens under the same weights."""
    pytest.importorskip({"ffn": "lmkit.inference.feedforward", "rnn": "lmkit.inference.recurrent"}.get(
        kind, "lmkit.inference.transformer"))  # fmt: skip
    write("lines.txt", b"the cat\na dog\nmat\n\nlog\n")
    options = ["--by", "line", "--batch", "9", "--schedule", "constant", "--warmup", "0"]
    train(kind, *options, "--steps", "2", "--log", "log.jsonl", files=["lines.txt"])
    train(kind, *options, "--steps", "1", files=["lines.txt"], output="one.lm")
    (record,) = lmkit("ppl", "--json", "-m", "one.lm", "lines.txt").records
    assert_close(events(work / "log.jsonl")[1]["nats"], -record["nats"] / record["tokens"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [b"a", b"\n", b"ab\n", b"a\0b\r\n", b"ab" * 3000])
def test_the_smallest_and_strangest_texts(kind, text, train, write):
    write("strange.txt", text)
    made = train(kind, "--valid", "strange.txt", files=["strange.txt"])
    assert np.isfinite(made.origin["trained"]["validation"]["nats"])


def test_vocabularies(train, lmkit, shelf, work):
    assert train("ffn", "--tokens", "word", "--max-vocab", "7").config["vocabulary"] == 7 + 3
    assert train("ffn", "--tokens", "word", "--min-count", "9").config["vocabulary"] < train(
        "ffn", "--tokens", "word"
    ).config["vocabulary"]  # fmt: skip
    assert train("ffn", "--tokens", "byte").config["vocabulary"] >= 256
    assert lmkit("bpe", "train", "-q", "--vocab-size", "280", "text.txt", "-o", "bpe.lm").status == 0
    made = train("rnn", "--tokens", "bpe.lm")
    assert made.config["vocabulary"] == 280
    assert made.tokenizer == checkpoint.parse((work / "bpe.lm").read_bytes()).tokenizer


@pytest.mark.parametrize(("budget", "steps"), [("160tokens", 5), ("1e2tokens", 3), ("1e-9h", 1), ("1flops", 1)])
def test_budgets(budget, steps, lmkit, write, work):
    """A step of four rows of eight tokens has 32."""
    write("text.txt", TEXT)
    words = ["train", "transformer", "--threads", "1", "--batch", "4", *SMALL["transformer"]]
    done = lmkit(*words, "--budget", budget, "text.txt", "-o", "out.lm")
    assert done.status == 0
    assert checkpoint.parse((work / "out.lm").read_bytes()).origin["trained"] == {
        "steps": steps, "tokens": 32 * steps, "validation": {},
    }  # fmt: skip


def test_a_budget_of_operations(lmkit, write, work):
    """Three times the forward pass for each token: two operations for each weight of maps and head, and attention."""
    write("text.txt", b"ab\n" * 50)
    maps = 8 * 8 * 4 + 3 * 8 * 24  # queries, keys, values, output; three of the feed-forward branch
    forward = 2 * (maps + 5 * 8) + 4 * 8 * 8  # five tokens; attention over eight places
    words = ["train", "transformer", "--threads", "1", "--batch", "4", *SMALL["transformer"]]
    made = lmkit(*words, "--budget", f"{3 * forward * 32 * 7}flops", "text.txt", "-o", "out.lm")
    assert made.status == 0
    content = checkpoint.parse((work / "out.lm").read_bytes())
    assert (content.config["vocabulary"], content.config["hidden"]) == (5, 24)
    assert content.origin["trained"]["steps"] == 7


# Bad input.


@pytest.fixture
def files(write, work, shelf):
    write("text.txt", TEXT)
    write("empty.txt", b"")
    write("one.txt", b"a")
    write("junk.txt", bytes(range(256)))
    write("words.lm", shelf["witten-bell-3.lm"].read_bytes())
    (work / "folder").mkdir()


@pytest.mark.few(10)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "options", "message"),
    [
        (3, "empty.txt", "no text to train on: the input is empty"),
        (3, "missing.txt", "missing.txt: No such file"),
        (3, "folder", "folder: a folder without files of text"),
        (3, "junk.txt", "junk.txt:2: not UTF-8 (byte 0x80"),
        (3, "text.txt --valid empty.txt", "empty.txt: no text to validate on"),
        (3, "text.txt --valid missing.txt", "missing.txt: No such file"),
        (3, "text.txt --valid junk.txt", "junk.txt:2: not UTF-8"),
        (3, "one.txt --valid-fraction 0.5", "too short to hold some of it out"),
        (2, "text.txt --valid one.txt --valid-fraction 0.5", "cannot be combined"),
        (2, "text.txt --tokens missing.lm", "expected one of word, char, byte, or a file"),
        (4, "text.txt --tokens empty.txt", "empty.txt: empty"),
        (4, "text.txt --tokens junk.txt", "neither a checkpoint nor an ARPA file"),
        (2, "text.txt --tokens words.lm --max-vocab 5", "a given vocabulary cannot be combined with"),
        (2, "text.txt --pack", "--pack is about documents"),
        (2, "text.txt --select-by loss", "need a validation text"),
        (2, "text.txt --patience 2", "need a validation text"),
        (2, "text.txt --budget 3s", "cannot be combined"),
        (2, "text.txt --lr -1", "--lr"),
        (2, "text.txt --lr nan", "not a finite number"),
        (2, "text.txt --optimizer sgd", "--optimizer"),
        (2, "- --valid -", "stdin is wanted for two things at once"),
        (2, "text.txt -o folder", "folder is a folder"),
        (74, "text.txt -o nowhere/out.lm", "nowhere/out.lm: No such file or directory"),
        (74, "text.txt -o text.txt/out.lm", "text.txt/out.lm: Not a directory"),
        (2, "text.txt -o text.txt", "text.txt is an input and would be overwritten"),
        (2, "text.txt --valid one.txt -o one.txt", "one.txt is an input and would be overwritten"),
        (2, "text.txt --log text.txt", "text.txt is an input and would be overwritten"),
        (74, "text.txt --log folder", "folder: Is a directory"),
        (74, "text.txt -o /dev/full", "/dev/full: No space left on device"),
    ],
)
def test_bad_input(kind, status, options, message, fails, files, work):
    options = options.split() if "-o" in options else [*options.split(), "-o", "out.lm"]
    done = fails(status, *command(kind), "-q", *options)
    assert message in done.stderr
    assert not (work / "out.lm").exists()
    assert not list(work.glob("*.state"))
    assert (work / "text.txt").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("transformer --heads 3", "--width 8 is not divisible by --heads 3"),
        ("transformer --kv-heads 3", "2 heads can't share 3 heads of keys and values evenly"),
        ("transformer --width 6", "rotary positions turn pairs of numbers, but a head has 3"),
        ("transformer --context 0", "--context"),
        ("transformer --context 99999999999", "99999999999 is not in the range 1<=x<=2147483647"),
        ("ffn --context 0", "--context"),
        ("rnn --bptt 0", "--bptt"),
        ("rnn --cell mamba", "--cell"),
    ],
)
def test_models_that_are_none(options, message, fails, files):
    kind, *more = options.split()
    assert message in fails(2, *command(kind), *more, "text.txt").stderr


@pytest.mark.parametrize("budget", ["5", "s", "0s", "-1m", "nans", "1e400tokens", "3days", "1e6 flip"])
def test_budgets_that_are_none(budget, fails, files):
    done = fails(2, "train", "ffn", "text.txt", "--budget", budget)
    assert f"--budget {budget!r} is not a budget" in done.stderr


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_a_loss_that_is_no_number_stops_with_advice(kind, lmkit, one_line, files, work):
    rates = ["--lr", "1e38", "--matrix-lr", "1e30"]
    done = lmkit(*command(kind), "-q", "text.txt", *rates, "-o", "out.lm")
    assert done.status == 1
    one_line(done.stderr)
    assert "the loss at step 2 is not a number any more; the state is in out.lm.state" in done.stderr
    assert "hint: a lower --lr" in done.stderr
    state = checkpoint.parse((work / "out.lm.state").read_bytes())
    assert state.config["step"] == 1
    assert all(np.isfinite(array).all() for array in state.tensors.values())
    again = lmkit(*command(kind), "-q", "text.txt", *rates, "-o", "out.lm", "--resume")
    assert (again.status, again.stderr) == (1, done.stderr)


def test_a_state_is_not_begun_over_unasked(lmkit, fails, write, work):
    write("out.lm.state", b"what an hour of training left")
    write("text.txt", TEXT)
    done = fails(2, *command("ffn"), "text.txt", "-o", "out.lm")
    assert "out.lm.state is left from an interrupted run" in done.stderr
    assert (work / "out.lm.state").read_bytes() == b"what an hour of training left"
    assert not (work / "out.lm").exists()
    assert "exclude each other" in fails(2, *command("ffn"), "text.txt", "--restart", "--resume", "-o", "out.lm").stderr
    done = lmkit(*command("ffn"), "text.txt", "--steps", "1", "--restart", "-o", "out.lm")
    assert (done.status, (work / "out.lm.state").exists()) == (0, False)
    assert "out.lm.state removed: training starts over\n" in done.stderr


# Vectors to begin with.


@pytest.fixture
def vectors(lmkit, write):
    """Vectors of some words of the text."""
    write("words.txt", b"cat sat dog cat dog log zebra\n" * 9)
    done = lmkit("w2v", "train", "words.txt", "--dim", "8", "-o", "vectors.lm", "-q")
    assert done.status == 0, done.stderr
    return checkpoint.parse(memoryview(Path("vectors.lm").read_bytes()))


@pytest.mark.parametrize("kind", KINDS)
def test_words_begin_with_the_vectors_given(kind, train, vectors, lmkit):
    """At a rate of next to nothing they stay; other words, and all else, begin as they do without."""
    still = ["--lr", "1e-12", "--matrix-lr", "1e-12", "--tokens", "word"]
    plain, made = train(kind, *still), train(kind, *still, "--embeddings", "vectors.lm")
    words = open_tokenizer("out.lm").vocabulary.pieces()
    given = dict(zip(open_tokenizer("vectors.lm").vocabulary.pieces(), vectors.tensors["centre"], strict=True))
    (name,) = [name for name, array in made.tensors.items() if array.shape == (len(words), 8) and "embed" in name]
    both = {b"cat", b"sat", b"dog", b"log"}
    for word, row, other in zip(words, made.tensors[name], plain.tensors[name], strict=True):
        np.testing.assert_allclose(row, given[word] if word in both else other, atol=1e-6)
    assert made.origin["embeddings"] == vectors.digest
    assert "embeddings" not in plain.origin
    assert {**made.origin["settings"]} == {**plain.origin["settings"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tokens", "char"], "goes with --tokens word"),
        (["--tokens", "word", "--width", "9"], "vectors of 8 numbers, not of --width 9"),
    ],
)
def test_vectors_that_do_not_fit(options, message, vectors, write, lmkit):
    write("text.txt", TEXT)
    done = lmkit(*command("ffn"), "text.txt", *options, "--embeddings", "vectors.lm", "-o", "out.lm")
    assert (done.status, message in done.stderr) == (2, True), done.stderr
