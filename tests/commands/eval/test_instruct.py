"""`lmkit eval instruct`."""

import json

import pytest

COMMA = {"instruction_id_list": ["punctuation:no_comma"]}
BOTH = {
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"num_words": 2, "relation": "at least"}],
}
ANSWERED = [
    {"key": 1, "prompt": "p", **BOTH, "text": "one two"}, {"key": 2, **BOTH, "text": "a, b"},
    {"key": 3, **COMMA, "text": "well,\nyes"}, {"key": 4, **BOTH, "text": "a"},
]  # fmt: skip
WORSE = [{"key": record["key"], "response": ","} for record in ANSWERED]


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_prompts_and_instructions_strict_and_loose(lmkit):
    record = lmkit("eval", "instruct", "--json", stdin=lines(*ANSWERED)).records[0]
    assert {name: record[name] for name in ("prompt_strict", "instruction_strict", "prompt_loose")} == {
        "prompt_strict": 1 / 4, "instruction_strict": 4 / 7, "prompt_loose": 2 / 4,
    }  # fmt: skip
    assert record["instruction_loose"] == 5 / 7
    assert record["n"] == 4
    assert record["kinds"]["punctuation:no_comma"] == {"strict": 2 / 4, "loose": 3 / 4, "n": 4}
    assert record["intervals"]["prompt_strict"] is not None
    assert lmkit("eval", "instruct", "-b", stdin=lines(*ANSWERED)).text == "0.25\n"


def test_answers_beside_their_prompts_and_two_systems(lmkit, write):
    prompts = write("prompts.jsonl", lines(*[{"key": one["key"], **BOTH} for one in ANSWERED]))
    answers = write("answers.txt", b"a b\na, b\na\nb c\n")
    assert lmkit("eval", "instruct", "-b", "--gold", prompts, answers).text == "0.5\n"
    worse = write("worse.jsonl", lines(*WORSE))
    done = lmkit("eval", "instruct", "--json", "--against", worse, stdin=lines(*ANSWERED))
    record = done.records[0]
    assert record["against"]["prompt_strict"] == 0
    assert record["differences"]["instruction_strict"]["value"] == pytest.approx(4 / 7)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"text": "a"}, "<stdin>:1: no `instruction_id_list`"),
        (COMMA, "<stdin>:1: no field 'text'"),
        ({**COMMA, "kwargs": [], "text": "a"}, "<stdin>:1: `kwargs` is not a list of 1 objects"),
        ({"instruction_id_list": ["x"], "text": "a"}, "<stdin>:1: no instruction 'x'"),
    ],
)
def test_bad_records(record, told, fails):
    assert told in fails(3, "eval", "instruct", stdin=lines(record)).stderr
