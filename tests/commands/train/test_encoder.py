"""`lmkit train encoder`."""

import json

import numpy as np
import pytest

from lmkit import checkpoint
from lmkit.errors import Status, Stopped
from lmkit.tokenization.wordpiece_trainer import NAMES, tokenizer_json
from lmkit.training.trainer import Trainer

WORDS = ["the", "cat", "dog", "sat", "on", "mat", "log", "a", "bird", "sang", "in", "tree", "."]
TEXT = (
    b"the cat sat on the mat .\nthe dog sat on the log .\n\na bird sang in the tree .\nthe bird sat on a cat .\n\n" * 12
)
SMALL = ["--threads", 1, "--steps", 4, "--batch", 4, "--layers", 1, "--width", 8, "--heads", 2, "--context", 16]


@pytest.fixture
def train(lmkit, write, work):
    """Trains a tiny encoder; gives the checkpoint."""
    write("text.txt", TEXT)
    write("t.json", tokenizer_json(NAMES, WORDS, ()))
    assert lmkit("bpe", "import", "t.json", "-o", "wp.lm").status == 0

    def train(*options, output="enc.lm", status=0):
        done = lmkit("train", "encoder", "--tokens", "wp.lm", *SMALL, "text.txt", *options, "-o", output)
        assert done.status == status, done.stderr
        return checkpoint.parse((work / output).read_bytes()) if status == 0 else done.stderr

    return train


@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp", "electra"])
def test_objectives_make_encoders_with_their_heads_and_report_what_they_learn(objective, train, work):
    made = train("--objective", objective, "--valid-fraction", 0.3, "--log", "log.jsonl")
    assert made.kind == "encoder"
    heads = {"mlm": "mlm", "mlm+nsp": "mlm+pair", "electra": "discriminator"}
    assert made.config["head"]["kind"] == heads[objective]
    assert made.tokenizer["size"] == 5 + len(WORDS)
    events = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["step"] * 4 + ["evaluation"]
    wanted = {"mlm": {"accuracy"}, "mlm+nsp": {"accuracy", "pair_accuracy"}, "electra": {"recall", "discriminator"}}
    assert wanted[objective] <= set(events[-1])
    assert made.origin["trained"]["validation"]["nats"] == events[-1]["nats"]
    assert not any(name.startswith("generator") for name in made.tensors)


@pytest.mark.parametrize("objective", ["mlm+nsp", "electra"])
def test_a_resumed_run_ends_in_the_same_bytes(objective, train, lmkit, work, monkeypatch):
    options = ["--objective", objective, "--valid-fraction", 0.3, "--evaluate-every", 2]
    train(*options, output="whole.lm")
    steps = Trainer._take_step

    def stops(self):
        if self.step == 3:
            raise Stopped(Status.TERMINATED)
        return steps(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_take_step", stops)
        with pytest.raises(Stopped):
            train(*options, "--save-every", 0)
    train(*options, "--resume")
    assert (work / "enc.lm").read_bytes() == (work / "whole.lm").read_bytes()


@pytest.mark.parametrize(
    "options", [["--by", "line"], ["--by", "blank-line", "--whole-word"], ["--objective", "electra"]]
)
def test_parts_of_a_batch_add_up_to_it(options, train, work):
    def losses(*more):
        train(*options, "--log", "log.jsonl", "--batch", 6, *more)
        return [json.loads(line)["nats"] for line in (work / "log.jsonl").read_text().splitlines()]

    whole, parts = losses(), losses("--accumulate", 3)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    if "electra" not in options:  # which draws others in other parts
        assert parts == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("preset", ["bert-base", "roberta", "electra-small", "modernbert-base"])
def test_presets_are_shapes_of_published_models(preset, train):
    body = train("--preset", preset, "--steps", 1).config["body"]
    assert (body["layers"], body["width"], body["heads"]) == (1, 8, 2)
    assert body["positions"] == ("rope" if preset == "modernbert-base" else "learned")
    assert body["norm"] == ("pre" if preset == "modernbert-base" else "post")


LEARNING = ["--by", "line", "--batch", 16, "--layers", 2, "--width", 32, "--valid-fraction", 0.3]


def test_masked_tokens_are_learned(train):
    """The loss is well below that of guessing by frequency."""
    counts = np.array([TEXT.split().count(word.encode()) for word in WORDS], dtype=float)
    unigram = -(counts / counts.sum() * np.log(counts / counts.sum())).sum()
    assert train("--steps", 60, *LEARNING).origin["trained"]["validation"]["nats"] < 0.75 * unigram


@pytest.mark.slow
def test_most_replaced_tokens_are_found(train):
    """Recall, since accuracy is high for saying that none is replaced."""
    made = train("--steps", 200, "--objective", "electra", *LEARNING)
    assert made.origin["trained"]["validation"]["recall"] > 0.5


def test_learning_rates_are_found_and_printed(lmkit, train):
    train()
    command = ["train", "encoder", "--tokens", "wp.lm", *SMALL, "text.txt"]
    assert lmkit(*command, "--find-lr").text.splitlines()[-1].startswith("suggestion\t")
    assert len(lmkit(*command, "--print-schedule").text.splitlines()) == 5


@pytest.mark.parametrize(
    ("options", "stdin", "status", "said"),
    [
        ([], b"", 3, "no text to train on"),
        ([], b"\n \n", 3, "no text to train on"),
        ([], b"words it does not know\n", 3, "no token of the text can be masked"),
        (["--objective", "mlm+nsp"], b"the cat\n\na dog\n", 3, "no two sentences follow each other"),
        (["--valid-fraction", 0.5], b"the cat", 3, "too short to hold some of it out"),
        (["--context", 2], b"a", 2, "--context 2 has no room"),
        (["--objective", "mlm+nsp", "--context", 4], b"a", 2, "--context 4 has no room"),
        (["--mask-rate", 0], b"a", 2, "--mask-rate 0 leaves nothing"),
        (["--heads", 3], b"a", 2, "3 heads do not share a width of 8"),
        (["--tokens", "char"], b"a", 2, "--algorithm wordpiece"),
        (["--select-by", "loss"], b"a", 2, "need a validation text"),
    ],
)
def test_what_no_encoder_is_trained_on(options, stdin, status, said, train, lmkit):
    train("--steps", 1)
    done = lmkit("train", "encoder", "--tokens", "wp.lm", *SMALL, *options, "-o", "x.lm", stdin=stdin)
    assert done.status == status, done.stderr
    assert said in done.stderr


def test_a_vocabulary_of_special_tokens_only(lmkit, write, fails):
    write("t.json", tokenizer_json(NAMES, [], ()))
    lmkit("bpe", "import", "t.json", "-o", "none.lm")
    said = fails(4, "train", "encoder", "--tokens", "none.lm", *SMALL, "-o", "x.lm", stdin=b"a b c").stderr
    assert "special tokens only" in said


def test_a_long_line_is_cut_and_a_text_shorter_than_the_context_is_read(train, lmkit):
    train()
    command = ["train", "encoder", "--tokens", "wp.lm", *SMALL, "--by", "line", "-o", "x.lm"]
    assert lmkit(*command, stdin=b"the cat " * 20_000).status == 0
    assert lmkit(*command, stdin=b"cat").status == 0


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
def test_without_positions_words_in_another_order_have_the_same_vectors(positions, train, lmkit, write, work):
    train("--positions", positions, "--valid-fraction", 0.3)
    write("orders.txt", b"the cat sat on a mat\nmat on a cat the sat\n")
    done = lmkit("embed", "-m", "enc.lm", "--token", "cat", "--json", "orders.txt")
    first, second = (np.array(json.loads(line)["vector"]) for line in done.lines)
    assert bool(np.abs(first - second).max() <= 1e-5) is (positions == "none")
