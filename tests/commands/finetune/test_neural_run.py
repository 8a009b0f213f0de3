"""`lmkit finetune -m MODEL`, `finetune merge` and `predict --adapter`: through checkpoints, and what is refused."""

import hashlib
import json

import pytest
from tiny_encoders import encoder_file

from lmkit import checkpoint

GOOD, BAD = ["good", "fine"], ["bad", "dull"]
LINES = [f"the {word} {noun}\t{label}" for noun in ("film", "book", "story") for word, label in
         [(word, "pos") for word in GOOD] + [(word, "neg") for word in BAD]]  # fmt: skip
TSV = ("\n".join(LINES) + "\n").encode()
QUICK = ("--epochs", "2", "--batch", "4", "--threads", "1", "-q")


@pytest.fixture(scope="module")
def bases(lmkit, tmp_path_factory):
    """Files of a tiny transformer and a tiny recurrent model of words."""
    folder = tmp_path_factory.mktemp("bases")
    text = folder / "text.txt"
    text.write_text("".join(line.split("\t")[0] + "\n" for line in LINES))
    own = ("--by", "line", "--tokens", "word", "--steps", "2", "--threads", "1", "-q")
    sizes = {
        "transformer": ("--layers", "2", "--width", "8", "--heads", "2", "--context", "8"),
        "rnn": ("--width", "8"),
    }
    for kind, words in sizes.items():
        done = lmkit("train", kind, *own, *words, text, "-o", folder / f"{kind}.lm")
        assert done.status == 0, done.stderr
    return folder


@pytest.fixture
def tuned(lmkit, write):
    def tuned(base, *words, data=TSV, output="clf.lm", kind="classify"):
        done = lmkit("finetune", kind, "-m", base, write("t.tsv", data), *QUICK, *words, "-o", output)
        assert done.status == 0, done.stderr
        return done

    return tuned


def scores(lmkit, *words):
    done = lmkit("predict", *words, "--json", stdin=b"the good film\nbad\n\n")
    assert done.status == 0, done.stderr
    return [list(record["scores"].values()) for record in done.records]


def test_from_a_language_model_to_a_classifier(lmkit, bases, tuned):
    for base, more in (("transformer", ()), ("rnn", ("--pooling", "mean"))):
        tuned(bases / f"{base}.lm", "--epochs", "30", *more, "--valid", "t.tsv")
        done = lmkit("predict", "-m", "clf.lm", "-b", "t.tsv")
        right = sum(line.endswith(label) for line, label in zip(LINES, done.lines, strict=True))
        assert right >= 11, base
        record = lmkit("info", "--json", "clf.lm").records[0]
        assert record["kind"] == base
        assert record["config"]["head"]["labels"] == ["neg", "pos"]
        if base == "transformer":  # its shape is Qwen3's, whose classifiers have no bias
            assert lmkit("convert", "clf.lm", "-o", "folder").status == 0
            assert lmkit("predict", "-m", "folder", "-b", "t.tsv").lines == done.lines
        refused = lmkit("ppl", "-m", "clf.lm", "t.tsv")
        assert refused.status == 4


def test_adapters_are_small_and_name_their_base(lmkit, bases, tuned):
    base = bases / "transformer.lm"
    before = hashlib.sha256(base.read_bytes()).hexdigest()
    tuned(base, "--train", "lora", "--rank", "2", output="one.lm")
    tuned(base, "--train", "lora", "--rank", "1", "--targets", "down_proj", output="two.lm")
    assert hashlib.sha256(base.read_bytes()).hexdigest() == before
    with open("one.lm", "rb") as file:
        content = checkpoint.parse(memoryview(file.read()))
    assert content.config["parent"] == checkpoint.parse(memoryview(base.read_bytes())).digest
    learned = sum(content.tensors[name].size for name in content.tensors)
    assert learned == 2 * 2 * 2 * (8 + 8) + 2 * 9
    for name in ("one.lm", "two.lm"):
        assert lmkit("finetune", "merge", "-m", base, "--adapter", name, "-o", "merged.lm").status == 0
        adapted = scores(lmkit, "-m", base, "--adapter", name)
        assert scores(lmkit, "-m", "merged.lm") == adapted
    other = lmkit("predict", "-m", bases / "rnn.lm", "--adapter", "one.lm", stdin=b"a\n")
    assert other.status == 4
    assert "one.lm: an adapter of the model" in other.stderr
    assert lmkit("predict", "-m", base, "--adapter", base, stdin=b"a\n").status == 4


def test_frozen_tensors_keep_their_bytes(bases, tuned):
    base = checkpoint.parse(memoryview((bases / "transformer.lm").read_bytes()))
    for mode, moved in (("head", ()), ("layers=1", ("layers.1.",))):
        tuned(bases / "transformer.lm", "--train", mode, "--weight-decay", "0.5")
        with open("clf.lm", "rb") as file:
            after = checkpoint.parse(memoryview(file.read())).tensors
        for name in set(after) & set(base.tensors):
            same = after[name].tobytes() == base.tensors[name].tobytes()
            assert same != bool(moved and name.startswith(moved)) or name.endswith("norm.weight"), name


def test_a_resumed_run_gives_the_same_bytes(lmkit, bases, tuned, monkeypatch):
    from lmkit.commands.finetune.neural_run import FineTuning

    tuned(bases / "transformer.lm", "--valid", "t.tsv")
    with open("clf.lm", "rb") as file:
        whole = file.read()
    plain = FineTuning.train

    def interrupted(self):
        for number, _ in enumerate(plain(self)):
            if number == 3:
                self.save()
                raise KeyboardInterrupt
            yield

    monkeypatch.setattr(FineTuning, "train", interrupted)
    words = ("finetune", "classify", "-m", bases / "transformer.lm", "t.tsv", "--valid", "t.tsv", *QUICK)
    assert lmkit(*words, "-o", "clf.lm").status == 130
    monkeypatch.setattr(FineTuning, "train", plain)
    assert "is left from an interrupted run" in lmkit(*words, "-o", "clf.lm").stderr
    assert lmkit(*words, "--resume", "-o", "clf.lm").status == 0
    with open("clf.lm", "rb") as file:
        assert file.read() == whole


def test_a_regressor_and_its_log(lmkit, bases, tuned):
    rows = TSV.replace(b"\tpos", b"\t7.5").replace(b"\tneg", b"\t4.5")
    tuned(
        bases / "transformer.lm", "--epochs", "30", "--log", "log.jsonl", "--valid", "t.tsv", data=rows, kind="regress"
    )
    found = [float(line) for line in lmkit("predict", "-m", "clf.lm", "-b", "t.tsv").lines]
    assert found == pytest.approx([7.5, 7.5, 4.5, 4.5] * 3, abs=0.7)
    with open("log.jsonl", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    assert {event["event"] for event in events} == {"step", "evaluation"}
    assert events[-1]["pearson"] > 0.9


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--train", "some"), 2, "--train 'some' is not one of all, head, lora or layers=A-B"),
        (("--train", "layers=1-2"), 2, "the model has layers 0 to 1"),
        (("--train", "lora", "--targets", "x_proj"), 2, "the model has no matrix 'x_proj'"),
        (("--ngrams", "1"), 2, "--ngrams is about the bag of n-grams and cannot be combined with -m"),
        (("--patience", "1"), 2, "--patience needs validation examples: --valid"),
        (("--pooling", "cls"), 2, "--pooling cls is for encoders"),
    ],
)
def test_what_is_refused(lmkit, bases, write, words, status, message):
    done = lmkit("finetune", "classify", "-m", bases / "transformer.lm", write("t.tsv", TSV), *words, "-o", "clf.lm")
    assert (done.status, message in done.stderr) == (status, True), done.stderr


def test_options_that_need_a_model(lmkit, bases, write):
    done = lmkit("finetune", "classify", write("t.tsv", TSV), "--epochs", "2", "-o", "clf.lm")
    assert (done.status, "--epochs needs a model to fine-tune" in done.stderr) == (2, True)
    lora = lmkit("finetune", "classify", "-m", bases / "rnn.lm", "t.tsv", "--train", "lora", "-o", "clf.lm")
    assert "--train lora is for transformers and encoders" in lora.stderr
    long = write("l.tsv", b"the " * 20 + b"\tpos\n" + TSV)
    done = lmkit("finetune", "classify", "-m", bases / "transformer.lm", long, *QUICK[:-1], "-o", "clf.lm")
    assert "1 of 13 training texts are longer than 8 tokens, cut there" in done.stderr


def test_several_seeds(lmkit, write):
    write("enc.lm", encoder_file())
    write("t.tsv", b"the cat sat\tx\nit was wide\ty\na dog ran\tx\nit was tired\ty\n")
    words = ("finetune", "classify", "-m", "enc.lm", "t.tsv", "--valid", "t.tsv", "--epochs", 2, "--threads", 1)
    done = lmkit(*words, "--seeds", 3, "-o", "a.lm")
    assert done.status == 0, done.stderr
    assert "accuracy of 3 seeds: mean" in done.stderr
    one = lmkit(*words, "-o", "b.lm")
    assert one.status == 0
    first, second = (lmkit("info", "--json", name).records[0] for name in ("a.lm", "b.lm"))
    assert first["origin"]["trained"]["validation"] == second["origin"]["trained"]["validation"]
    assert first["origin"]["trained"]["seeds"]["runs"] == 3
    for options, said in ((("--seeds", 2), "--seeds needs validation"), (("--seeds", 0), "--seeds")):
        done = lmkit("finetune", "classify", "-m", "enc.lm", "t.tsv", *options, "-o", "c.lm")
        assert (done.status, said in done.stderr) == (2, True)


@pytest.mark.slow
def test_long_texts_are_read_in_windows(lmkit, bases, write):
    """The word that counts lies behind the context: cut it can't be learned, in windows it is."""
    long = [" ".join(["the film"] * 4 + [line.split()[1]] * 3) + "\t" + line.split("\t")[1] for line in LINES]
    data = write("long.tsv", ("\n".join(long) + "\n").encode())
    words = ("finetune", "classify", "-m", bases / "transformer.lm", data, *QUICK[:-1], "--epochs", "30")
    done = lmkit(*words, "--windows", "--valid", data, "-o", "clf.lm")
    assert done.status == 0, done.stderr
    assert "12 of 12 training texts are longer than 8 tokens, read in overlapping windows" in done.stderr
    text = data.read_bytes().split(b"\t")[0]
    whole = scores_of(lmkit, "clf.lm", text)
    tokens = text.split()
    parts = [b" ".join(tokens[begin : begin + 6]) for begin in (0, 3, 5)]
    means = [sum(own) / 3 for own in zip(*(scores_of(lmkit, "clf.lm", part) for part in parts), strict=True)]
    assert whole == pytest.approx(means, abs=1e-6)
    right = [line.split("\t")[1] for line in long]
    assert lmkit("predict", "-m", "clf.lm", "-b", data).lines == right
    cut = lmkit(*words, "--lr", "0.01", "-o", "cut.lm")
    assert "--lr 0.01 lies outside 1e-06 to 0.0001, usual for fine-tuning" in cut.stderr
    assert "cut there; --windows reads all of them" in cut.stderr
    done = lmkit("predict", "-m", "cut.lm", "-b", stdin=text + b"\n")
    assert (done.status, "1 texts are longer than 8 tokens, cut there; --windows" in done.stderr) == (0, True)
    assert lmkit("predict", "-m", "cut.lm", "-b", "--windows", stdin=text + b"\n").stderr == ""


def scores_of(lmkit, model, text):
    return list(lmkit("predict", "-m", model, "--json", stdin=text + b"\n").records[0]["scores"].values())


def test_windows_are_for_models_with_a_context(lmkit, write):
    done = lmkit("finetune", "classify", write("t.tsv", TSV), "--windows", "-o", "clf.lm")
    assert (done.status, "--windows needs a model to fine-tune" in done.stderr) == (2, True)
    assert lmkit("finetune", "classify", "-q", "t.tsv", "-o", "clf.lm").status == 0
    done = lmkit("predict", "-m", "clf.lm", "--windows", stdin=b"good\n")
    assert (done.status, "--windows is for fine-tuned transformers and encoders" in done.stderr) == (2, True)
