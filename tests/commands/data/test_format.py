"""`lmkit data format`."""

import json


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_examples_have_the_prompt_that_is_asked_later(lmkit, write):
    data = write("d.jsonl", lines({"instruction": "Di algo.", "input": "", "response": "algo", "id": 7, "k": 1}))
    (record,) = lmkit("data", "format", "--style", "instruct", data).records
    (asked,) = lmkit("prompt", "fill", "--template", "instruct", data).records
    assert record == {"id": 7, "prompt": asked["prompt"], "output": "algo", "instruction": "Di algo.", "input": "",
                      "k": 1}  # fmt: skip
    assert asked["gold"] == "algo"
    assert lmkit("data", "format", "--style", "instruct", "-b", data).text == asked["prompt"] + "algo\n"


def test_the_prefix_of_a_task_is_on_the_input_alone(lmkit):
    done = lmkit("data", "format", "--style", "t5", "--task", "summarize", "--input", "tsv", stdin=b"long\tshort\n")
    assert done.records == [
        {"id": 1, "prompt": "summarize: long", "output": "short", "input": "long", "task": "summarize"}
    ]
    mixed = lines({"task": "stsb", "text": "x", "target": 3.8}, {"task": "sst2", "text": "y", "label": "good"})
    done = lmkit("data", "format", "--style", "t5", "--input", "jsonl", stdin=mixed)
    assert [(record["prompt"], record["output"]) for record in done.records] == [
        ("stsb: x", "3.8"), ("sst2: y", "good"),
    ]  # fmt: skip


def test_pairs_to_train_on(lmkit):
    pairs = b"x\ty\tyes\nz\n"
    assert lmkit("data", "format", "--style", "bert", "--input", "tsv", stdin=pairs).records == [
        {"id": 1, "prompt": "[CLS] x [SEP] y [SEP]", "output": "yes", "a": "x", "b": "y"},
        {"id": 2, "prompt": "[CLS] z [SEP]", "a": "z"},
    ]
    done = lmkit("data", "format", "--style", "gpt1", "--task", "similarity", "--input", "tsv", stdin=pairs[:8])
    assert [(record["id"], record["output"]) for record in done.records] == [("1-ab", "yes"), ("1-ba", "yes")]


def test_an_example_without_an_output_teaches_nothing(fails):
    assert "<stdin>:1: no output" in fails(3, "data", "format", "--style", "instruct", stdin=b"Do it.\n").stderr
    assert "no style" in fails(2, "data", "format").stderr
