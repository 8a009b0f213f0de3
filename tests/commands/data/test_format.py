"""`lmkit data format`."""

import json

import pytest


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


def test_pairs_of_a_translator_get_the_prefix_of_a_task(lmkit):
    pair = lines({"source": "hola", "target": "hello"})
    done = lmkit("data", "format", "--style", "t5", "--task", "translate", "--input", "jsonl", stdin=pair)
    assert done.records == [
        {"id": 1, "prompt": "translate: hola", "output": "hello", "source": "hola", "task": "translate"}
    ]


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


TEMPLATES = """\
summarize: ["Summarize: [X]", "[X]\\n\\nTL;DR:"]
sentiment:
  - prompt: "{{ X }} Good or bad?"
    output: "{{ 'good' if label == 1 else 'bad' }}"
"""
TASKS = lines(
    {"task": "summarize", "input": "a long text", "target": "short"}, {"task": "sentiment", "text": "nice", "label": 1}
)


def test_prompts_of_tasks_by_templates_drawn_for_each_record(lmkit, write):
    write("t0.yaml", TEMPLATES.encode())
    data = write("d.jsonl", TASKS + lines(*({"task": "summarize", "input": f"x{n}", "target": "y"} for n in range(40))))
    done = lmkit("data", "format", "--style", "t0", "--templates", "t0.yaml", data)
    assert (done.status, done.stderr) == (0, "")
    assert done.records[1] == {
        "id": 2, "prompt": "nice Good or bad?", "output": "good", "template": 0, "task": "sentiment", "text": "nice",
        "label": 1,
    }  # fmt: skip
    drawn = [record["template"] for record in done.records[2:]]
    assert 10 < sum(drawn) < 30
    prompts = [[f"Summarize: x{n}", f"x{n}\n\nTL;DR:"][template] for n, template in enumerate(drawn)]
    assert [record["prompt"] for record in done.records[2:]] == prompts
    again = lmkit("data", "format", "--style", "t0", "--templates", "t0.yaml", "--seed", 1, data)
    assert [record["template"] for record in again.records[2:]] != drawn


def test_tasks_of_training_and_evaluation_must_differ(lmkit, fails, write):
    write("t0.yaml", TEMPLATES.encode())
    write("eval.jsonl", lines({"task": "sentiment", "text": "bad"}))
    command = ["data", "format", "--style", "t0", "--templates", "t0.yaml", "--against"]
    data = write("d.jsonl", TASKS)
    refused = fails(3, *command, "eval.jsonl", data)
    assert "d.jsonl:2: the task 'sentiment' is one of --against" in refused.stderr
    assert "--allow-overlap" in refused.stderr
    done = lmkit(*command, "eval.jsonl", "--allow-overlap", data)
    assert len(done.records) == 2
    assert "1 record of the task 'sentiment'" in done.stderr
    write("other.txt", b"translate\n\n")
    assert lmkit(*command, "other.txt", data).status == 0


def test_multiple_choice_without_templates(lmkit):
    record = {"question": "Red?", "context": "Blood is red.", "choices": ["blood", "milk"], "answer": "A", "task": "qa"}
    done = lmkit("data", "format", "--style", "t0", "--input", "jsonl", stdin=lines(record))
    assert done.records[0]["output"] == "blood"
    assert "Choices: (A) blood (B) milk" in done.records[0]["prompt"]


def test_pairs_as_one_text(lmkit, fails):
    pair = "the green witch arrived\tllegó la bruja verde\n".encode()
    command = ["data", "format", "--style", "concat"]
    assert lmkit(*command, stdin=pair).text == "the green witch arrived <s> llegó la bruja verde\n"
    assert lmkit(*command, "--sep", "=>", "--json", stdin=pair).records == [
        {"id": 1, "prompt": "the green witch arrived =>", "joint": " ", "output": "llegó la bruja verde"}
    ]
    assert "<stdin>:1: the source has the separator '<s>'" in fails(3, *command, stdin=b"a <s> b\tc\n").stderr
    assert "<stdin>:2: the target is empty" in fails(3, *command, stdin=b"a\tb\nc\t\n").stderr
    assert "<stdin>:1: 1 column," in fails(3, *command, stdin=b"a\n").stderr
    assert "belong to --style t0" in fails(2, *command, "--against", "x", stdin=pair).stderr


def test_what_other_commands_print_are_pairs(lmkit):
    concat = ["data", "format", "--style", "concat", "--input", "jsonl"]
    spans = lmkit("data", "spans", stdin=b"a b c d e f\n").stdout
    assert "<extra_id_0>" in lmkit(*concat, stdin=spans).text
    t5 = lmkit("data", "format", "--style", "t5", "--task", "say", "--input", "tsv", stdin=b"x\ty\n").stdout
    assert lmkit(*concat, stdin=t5).text == "say: x <s> y\n"
    assert lmkit(*concat, stdin=lines({"source": "web", "input": "x", "target": "y"})).text == "x <s> y\n"


def test_careless_templates(fails, write):
    for text, said in (
        ("[]", "no tasks with lists"), ("a: []", "the task 'a' has no templates"), ("a: [x]", "neither [X] nor Jinja2"),
        ("a: [{output: x}]", "has no `prompt`"), ("a: [3]", "neither a text nor"), ("a: ['[X]']", "no templates for"),
    ):  # fmt: skip
        write("t.yaml", text.encode())
        done = fails(3, "data", "format", "--style", "t0", "--templates", "t.yaml", "--input", "jsonl", stdin=TASKS)
        assert said in done.stderr


@pytest.mark.slow
def test_a_language_model_of_pairs_writes_after_the_separator(lmkit, write):
    pairs = "the green witch arrived\tllegó la bruja verde\nthe cat sleeps\tel gato duerme\n"
    write("lines.txt", lmkit("data", "format", "--style", "concat", stdin=pairs.encode()).stdout * 8)
    small = ["--by", "line", "--tokens", "word", "--steps", 150, "--width", 64, "--threads", 1]
    assert lmkit("train", "rnn", *small, "lines.txt", "-o", "mt.lm").status == 0
    prompts = "".join(f"{line.split(chr(9))[0]} <s>\n" for line in pairs.splitlines())
    write("prompts.txt", prompts.encode())
    done = lmkit("sample", "-m", "mt.lm", "--greedy", "prompts.txt")
    assert done.lines == [line.split("\t")[1] for line in pairs.splitlines()]
