"""`lmkit eval prefer`."""

import json

import pytest
from random_weights import random_weights

from lmkit import checkpoint
from lmkit.commands.loading.models import open_tokenizer

PAIRS = [(-10, -12, -11, -11), (-5, -4, -5, -5), (-3, -3, -2, -2)]
NAMES = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


def lines(*pairs, **more):
    return "".join(json.dumps(dict(zip(NAMES, pair, strict=False)) | more) + "\n" for pair in pairs).encode()


def test_a_record_begins_with_its_stable_keys(lmkit):
    record = lmkit("eval", "prefer", "--json", stdin=lines(*PAIRS)).records[0]
    assert list(record)[:4] == ["accuracy", "margin", "n", "interval"]
    assert record["accuracy"] == 0.5
    assert record["margin"] == pytest.approx(0.1 * (2 - 1 + 0) / 3)
    assert len(record["interval"]) == 2
    assert lmkit("eval", "prefer", "-b", stdin=lines(PAIRS[0][:2])).text == "1.0\n"
    assert lmkit("eval", "prefer", "--json", stdin=lines(*PAIRS, beta=1)).records[0]["margin"] == pytest.approx(1 / 3)


def test_two_systems(lmkit, write):
    done = lmkit("eval", "prefer", "--json", "--against", write("b.jsonl", lines(*PAIRS[::-1])), stdin=lines(*PAIRS))
    assert done.records[0]["differences"]["accuracy"]["value"] == 0.0
    done = lmkit("eval", "prefer", "--against", write("b.jsonl", lines(PAIRS[0])), stdin=lines(*PAIRS))
    assert "b.jsonl: 1 pairs, but the first has 3" in done.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "<stdin>: no pairs"),
        (b'{"policy_chosen": 1}\n', "<stdin>:1: no `policy_rejected`"),
        (lines((1, 2, 3)), "<stdin>:1: only one of"),
        (lines((1, "2")), "<stdin>:1: `policy_rejected` is no finite number"),
    ],
)
def test_bad_records(lmkit, data, message):
    done = lmkit("eval", "prefer", stdin=data)
    assert done.status == 3
    assert message in done.stderr


@pytest.fixture
def policies(shelf, write):
    """Two random transformers of documents over characters that the template is spelled with."""
    tokenizer = open_tokenizer(str(shelf["byte-witten-bell.lm"]))
    shape = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 12, "context": 300}
    for seed, name in enumerate(["one.lm", "two.lm"]):
        weights = random_weights("transformer", tokenizer, by="file", seed=seed, **shape)
        write(name, b"".join(checkpoint.serialize(weights.to_checkpoint({"command": "test"}))))
    return "one.lm", "two.lm"


def test_pairs_under_a_policy_and_its_reference(lmkit, write, policies):
    """Log-probabilities are those of `prompt rank` after the rendered prompt, ends included."""
    pairs = [
        {"prompt": "cat?", "chosen": "yes", "rejected": "no way"},
        {"instruction": "dog", "chosen": "a", "rejected": "b"},
    ]
    write("pairs.jsonl", "".join(json.dumps(pair) + "\n" for pair in pairs).encode())
    asked = "".join(
        json.dumps({"prompt": pair.get("prompt", pair.get("instruction"))}) + "\n" for pair in pairs
    ).encode()
    prompts = lmkit("prompt", "chat", "--template", "instruct", "--input", "jsonl", stdin=asked).records
    sides = [
        {"prompt": prompt["prompt"], "text": pair[side], "side": side, "finish_reason": "eos"}
        for pair, prompt in zip(pairs, prompts, strict=True) for side in ("chosen", "rejected")
    ]  # fmt: skip
    answers = "".join(json.dumps(side) + "\n" for side in sides).encode()
    nats = []
    for policy in policies:
        found = lmkit("prompt", "rank", "-m", policy, "--norm", "none", stdin=answers).records
        nats.append({(one["prompt"], one["side"]): one["judge_nats"] for one in found})
    texts = [prompt["prompt"] for prompt in prompts]
    own, other = ([known[text, "chosen"] - known[text, "rejected"] for text in texts] for known in nats)
    command = ["eval", "prefer", "--json", "pairs.jsonl", "-m", policies[0]]
    record = lmkit(*command).records[0]
    assert record["margin"] == pytest.approx(0.1 * sum(own) / 2, rel=1e-5)
    assert record["accuracy"] == sum(one > 0 for one in own) / 2
    record = lmkit(*command, "--reference", policies[1], "--beta", "2").records[0]
    assert record["margin"] == pytest.approx(sum(own) - sum(other), rel=1e-5)
    record = lmkit(*command, "--reference", policies[0], "--against", policies[1]).records[0]
    assert (record["accuracy"], record["margin"]) == (0.5, 0.0)
    assert record["against"]["margin"] == pytest.approx(0.1 * (sum(other) - sum(own)) / 2, rel=1e-5)


def test_a_reference_needs_a_policy(fails, write):
    assert "--reference needs -m MODEL" in fails(2, "eval", "prefer", "--reference", "x.lm").stderr
