"""`lmkit eval wins`."""

import json

import pytest

NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"]}
ONE = [
    {"id": 1, "prompt": "the", "text": "cat sat", "gold": "cat", "score": 2, **NO_COMMA},
    {"id": 2, "prompt": "the", "text": "dog", "gold": ["dog"], "score": 1, **NO_COMMA},
    {"id": 3, "prompt": "a", "text": "cat", "gold": "bird", "score": 5, **NO_COMMA},
]
OTHER = [
    {"id": 3, "prompt": "a", "text": "a,", "gold": "bird", "score": 5, **NO_COMMA},
    {"id": 1, "prompt": "the", "text": "cat", "gold": "cat", "score": 1, **NO_COMMA},
    {"id": 2, "prompt": "the", "text": "sat", "gold": ["dog"], "score": 0, **NO_COMMA},
]


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        (["--rule", "longer"], (2, 1, 0)), (["--rule", "shorter"], (0, 1, 2)), (["--rule", "gold"], (1, 1, 1)),
        (["--rule", "field"], (2, 1, 0)), (["--rule", "instructions"], (1, 2, 0)),
    ],
)  # fmt: skip
def test_rules(options, counts, lmkit, write):
    done = lmkit("eval", "wins", "--json", *options, "--against", write("b.jsonl", lines(OTHER)), stdin=lines(ONE))
    record = done.records[0]
    assert tuple(record[name] for name in ("wins", "ties", "losses")) == counts
    assert record["win_rate"] == (counts[0] + counts[1] / 2) / 3
    assert record["n"] == 3
    assert record["p"] == pytest.approx({(2, 0): 0.5, (0, 2): 0.5, (1, 1): 1.0, (1, 0): 1.0}[counts[0], counts[2]])


def test_a_judge_prefers_what_it_finds_likely(lmkit, write, shelf):
    model = shelf["witten-bell-2.lm"]
    ranked = {}
    for name, records in (("a.jsonl", ONE), ("b.jsonl", OTHER)):
        write(name, lines(records))
        ranked[name] = {one["id"]: one["score"] for one in lmkit("prompt", "rank", "-m", model, name).records}
    wins = sum(ranked["a.jsonl"][name] > ranked["b.jsonl"][name] for name in (1, 2, 3))
    assert lmkit("eval", "wins", "-m", model, "a.jsonl", "--against", "b.jsonl", "-b").text == f"{wins / 3!r}\n"


@pytest.mark.parametrize(
    ("status", "arguments", "told"),
    [
        (2, ["-m", "x.lm"], "no second file"),
        (2, ["--against", "b.jsonl"], "no rule"),
        (2, ["--against", "b.jsonl", "--rule", "likelihood"], "--rule likelihood needs -m"),
        (2, ["--against", "b.jsonl", "--rule", "gold", "-m", "x.lm"], "-m cannot be combined with --rule gold"),
        (3, ["--against", "b.jsonl", "--rule", "field", "--field", "no"], "<stdin>:1: `no` is no number"),
        (3, ["--against", "few.jsonl", "--rule", "longer"], "few.jsonl"),
    ],
)
def test_what_is_wrong_is_one_line(status, arguments, told, fails, write):
    write("b.jsonl", lines(OTHER))
    write("few.jsonl", lines(OTHER[:1]))
    assert told in fails(status, "eval", "wins", *arguments, stdin=lines(ONE)).stderr
