"""`lmkit eval prefer`."""

import json

import pytest

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
