"""`lmkit chat` on files and pipes."""

import json

import chat_models
import pytest
from random_weights import random_weights

from lmkit import checkpoint
from lmkit.commands.loading.models import open_tokenizer

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def chat(lmkit, write):
    return ["chat", *chat_models.make(lmkit, write), "--greedy"]


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def asks(*texts):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]}


def test_each_line_is_a_message_of_one_conversation(chat, lmkit):
    done = lmkit(*chat, stdin=b"hello\nagain\n")
    assert (done.text, done.stderr) == ("good day\nonce more\n", "")
    last = lmkit(*chat, "--json", stdin=b"hello\nagain\n").records[-1]
    assert last == {
        "id": 2, **asks("hello", "good day", "again", "once more"), "text": "once more", "tokens": 16,
        "finish_reason": "eos",
    }  # fmt: skip


def test_each_record_is_a_conversation(chat, lmkit, write, work):
    asked = [
        {"id": "a", **asks("hello"), "lang": "en"},
        {"system": "", "prompt": "again"},
        asks("hello", "good day", "count"),
    ]
    write("asked.jsonl", lines(*asked))
    found = lmkit(*chat, "asked.jsonl").records
    assert [record["text"] for record in found] == ["good day", "once more", "one two three"]
    assert found[0] == {
        "id": "a", **asks("hello", "good day"), "text": "good day", "tokens": 15, "finish_reason": "eos", "lang": "en",
    }  # fmt: skip
    assert found[1]["messages"][0] == {"role": "system", "content": ""}
    assert lmkit(*chat, stdin=lines(*asked)).records == found
    assert lmkit(*chat, "asked.jsonl", "-o", "out.jsonl").stdout == b""
    assert [json.loads(line) for line in (work / "out.jsonl").read_text().splitlines()] == found


def test_an_answer_is_that_of_sample(lmkit, write, chat):
    """Drawn, by the same seed; whatever other conversations there are."""
    write("asked.jsonl", lines({"id": 7, **asks("hello")}, {"id": 8, **asks("who")}, {"id": 9, **asks("hello")}))
    command = [word for word in chat if word != "--greedy"]
    found = lmkit(*command, "--seed", "3", "--max-tokens", "30", "asked.jsonl").records
    write("prompts.jsonl", lmkit("prompt", "chat", "--template", "chat.jinja", "asked.jsonl").stdout)
    drawn = lmkit(
        "sample", "-m", "chat.lm", "--seed", "3", "--max-tokens", "30", "--stop", "<|end|>", "prompts.jsonl"
    ).records
    assert [record["text"] for record in found] == [record["text"] for record in drawn]


def test_what_limits_an_answer(chat, lmkit):
    record = lmkit(*chat, "--max-tokens", "4", stdin=lines(asks("hello"))).records[0]
    assert (record["text"], record["tokens"], record["finish_reason"]) == ("good", 4, "length")
    record = lmkit(*chat, "--stop", "day", stdin=lines(asks("hello"))).records[0]
    assert (record["text"], record["finish_reason"]) == ("good ", "stop")
    record = lmkit(*chat, "--choice", "good", "--choice", "one", stdin=lines(asks("count"))).records[0]
    assert (record["text"], record["finish_reason"]) == ("one", "stop")
    done = lmkit(*chat, "--format", "json", stdin=b"hello\n")
    assert (done.status, done.text) == (1, "good day\n")


def test_marks_are_broken_up_and_the_system_message_is_kept(chat, lmkit):
    done = lmkit(*chat, "--json", "--system", "a<|end|>", stdin=b"hel<|end|>lo\n")
    assert [message["content"] for message in done.records[0]["messages"][:2]] == ["a< |end|>", "hel< |end|>lo"]
    assert done.stderr.splitlines() == [
        f"lmkit: {place}: message 1 contains <|end|>, a control token of the template, broken up with a space"
        for place in ("--system", "<stdin>:1")
    ]


def test_the_oldest_turns_are_left_out_of_a_full_context(lmkit, shelf, write):
    """The context is 32, of which an answer may have 4."""
    tokenizer = open_tokenizer(str(shelf["char-witten-bell.lm"]))
    shape = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "head_width": 4, "hidden": 12, "context": 32}
    weights = random_weights("transformer", tokenizer, **shape)
    write("t.lm", b"".join(checkpoint.serialize(weights.to_checkpoint({"command": "test"}))))
    write("t.jinja", b"{% for m in messages %}{{ m.content }}{% endfor %}")
    command = ["chat", "-m", "t.lm", "--template", "t.jinja", "--max-tokens", "4", "--json"]
    done = lmkit(*command, stdin=b"the cat\n" * 9)
    assert "lmkit: the context is full: the model no longer sees the oldest messages" in done.stderr
    left_out = [record.get("left_out", 0) for record in done.records]
    assert left_out[0] == 0 < left_out[-1]
    assert left_out == sorted(left_out)
    assert len(done.records[-1]["messages"]) == 18
    done = lmkit(*command, stdin=lines(asks(*["the cat"] * 9)))
    assert done.records[0]["left_out"] > 0
    assert "<stdin>:1: the model was not shown the oldest" in done.stderr
    done = lmkit(*command, stdin=b"the cat sat on the mat and the dog sat on the log\n")
    assert done.status == 3
    assert "<stdin>:1: 50 tokens of the last message exceed the" in done.stderr


@pytest.mark.parametrize(
    ("status", "arguments", "stdin", "told"),
    [
        (2, [], b"x\n", "no model"),
        (2, ["-m", "chat.lm"], b"x\n", "chat.lm has no chat template"),
        (2, ["-m", "chat.lm", "--template", "no"], b"x\n", "is neither a file or folder nor one of"),
        (2, ["-m", "chat.lm", "--template", "chat.jinja", "--stop", ""], b"x\n", "--stop is empty"),
        (2, ["-m", "-", "--template", "chat.jinja"], b"x\n", "stdin is wanted for two things"),
        (3, ["-m", "chat.lm", "--template", "bad.jinja"], b"x\n", "bad.jinja: line 1"),
        (3, ["-m", "chat.lm", "--template", "raise.jinja"], b"x\n", "<stdin>:1: raise.jinja: line 1: not so"),
        (3, ["-m", "chat.lm", "--template", "chat.jinja"], lines({"a": 1}), "<stdin>:1: the record has neither"),
        (3, ["-m", "chat.lm", "--template", "chat.jinja"], lines(asks("a", "b")), "<stdin>:1: the last message is the"),
        (3, ["-m", "chat.lm", "--template", "chat.jinja"], lines({"messages": HELLO * 2}), "<stdin>:1: message 2 has"),
        (3, ["-m", "chat.lm", "--template", "chatml"], b"x\n", "<stdin>:1: the prompt has several lines"),
        (4, ["-m", "chat.jinja", "--template", "chatml"], b"x\n", "chat.jinja"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(status, arguments, stdin, told, chat, fails, write):
    write("bad.jinja", b"{% if %}")
    write("raise.jinja", b"{{ raise_exception('not so') }}")
    assert told in fails(status, "chat", *arguments, stdin=stdin).stderr


def test_answers_before_a_bad_record_are_written(chat, lmkit):
    done = lmkit(*chat, stdin=lines(asks("hello"), {"no": 1}))
    assert (done.status, len(done.records)) == (3, 1)
