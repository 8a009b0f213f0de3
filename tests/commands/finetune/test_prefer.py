"""`lmkit finetune prefer`: margins grow, the reference is scored once, and pairs that prefer nothing are refused."""

import json
import math

import pytest

from lmkit import checkpoint

PAIRS = [{"prompt": word, "chosen": "yes", "rejected": "no"} for word in ("a", "b", "c", "d")]
DATA = "".join(json.dumps(pair) + "\n" for pair in PAIRS).encode()
QUICK = ("--batch", "2", "--threads", "1")


@pytest.fixture(scope="module")
def base(lmkit, tmp_path_factory):
    """The file of a tiny transformer of bytes."""
    folder = tmp_path_factory.mktemp("base")
    text = folder / "text.txt"
    text.write_text("yes no\n\nno yes\n")
    sizes = ("--layers", "1", "--width", "16", "--heads", "2", "--context", "160", "--batch", "2", "--steps", "2")
    words = ("--tokens", "byte", "--by", "blank-line", "--threads", "1", "-q", text)
    assert lmkit("train", "transformer", *sizes, *words, "-o", folder / "base.lm").status == 0
    return folder / "base.lm"


@pytest.fixture
def aligned(lmkit, base, write):
    def aligned(*words, data=DATA, status=0):
        done = lmkit("finetune", "prefer", "-m", base, write("p.jsonl", data), *QUICK, *words, "-o", "dpo.lm")
        assert done.status == status, done.stderr
        return done

    return aligned


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["all", "lora"])
def test_margins_grow_from_a_reference_that_stays(base, aligned, mode):
    before = base.read_bytes()
    words = ("--train", mode, "--epochs", "10", "--lr", "0.01", "--valid", "p.jsonl", "--log", "log.jsonl")
    aligned(*words, "--reference-cache", "ref.lm")
    assert base.read_bytes() == before
    with open("log.jsonl", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    assert events[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert events[-1]["accuracy"] == 1.0
    assert events[-1]["margin"] > 0.1
    again = aligned("--train", mode, "--restart", "--reference-cache", "ref.lm", "--valid", "p.jsonl")
    assert "ref.lm: scores of the reference, read" in again.stderr
    changed = aligned("--restart", "--reference-cache", "ref.lm")
    assert "scores of another model or other pairs, computed anew" in changed.stderr
    with open("dpo.lm", "rb") as file:
        origin = checkpoint.parse(memoryview(file.read())).origin
    assert origin["parent"] == checkpoint.parse(memoryview(before)).digest


def test_the_rate_is_a_tenth_of_that_of_instructions_unless_given(aligned):
    def rate(*words):
        aligned(*words, "--epochs", "0.5", "--log", "log.jsonl")
        with open("log.jsonl", encoding="utf-8") as file:
            return json.loads(file.readline())["lr"]

    assert rate() == pytest.approx(0.1 * 0.03 / 16)
    assert rate("--lr", "0.0002") == 0.0002


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "p.jsonl:1: `chosen` and `rejected` are the same answer"),
        ({"prompt": "a", "chosen": "b"}, "p.jsonl:1: no `rejected` answer"),
        ({"chosen": "b", "rejected": "c"}, "an answer to nothing"),
        (
            {"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
             "rejected": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "c"}]},
            "answer different prompts",
        ),
        ({"prompt": "a", "chosen": "b" * 300, "rejected": "c"}, "exceeds the model's context"),
    ],
)  # fmt: skip
def test_what_is_refused(aligned, record, message):
    done = aligned(data=json.dumps(record).encode(), status=3)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_pairs_as_conversations(lmkit, base, write):
    user = {"role": "user", "content": "a"}
    sides = {side: [user, {"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
    asked = {"prompt": [user], "chosen": "chosen", "rejected": [{"role": "assistant", "content": "rejected"}]}
    made = []
    for number, record in enumerate((sides, asked)):
        name = f"{number}.lm"
        file = write("p.jsonl", json.dumps(record).encode())
        words = ("finetune", "prefer", "-m", base, file, *QUICK, "-q", "-o", name)
        assert lmkit(*words).status == 0
        with open(name, "rb") as stored:
            made.append(checkpoint.parse(memoryview(stored.read())).origin["inputs"][0]["sha256"])
    assert made[0] == made[1]
