"""`lmkit prompt chat`."""

import json

import pytest

CHAT = {
    "id": "c", "lang": "es",
    "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "u1"}, {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "u2"},
    ],
}  # fmt: skip


def chatted(*contents):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(contents)]}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_llama_2_to_the_byte(lmkit):
    command = ["prompt", "chat", "--template", "llama2", "--input", "jsonl"]
    prompt = "<s>[INST] <<SYS>>\ns\n<</SYS>>\n\nu1 [/INST] a1</s><s>[INST] u2 [/INST]"
    done = lmkit(*command, stdin=lines(CHAT))
    assert done.records == [{"id": "c", "prompt": prompt, "joint": " ", "lang": "es", "messages": CHAT["messages"]}]
    assert lmkit(*command, "-b", stdin=lines(CHAT)).text == f"{prompt}\n"
    assert lmkit("prompt", "chat", "-b", "--template", "llama2", stdin=b"u").text == "<s>[INST] u [/INST]\n"


def test_what_users_and_systems_say(lmkit):
    command = ["prompt", "chat", "-b", "--template", "chatml", "--no-generation-prompt"]
    user = "<|im_start|>user\nu<|im_end|>\n"
    said = "<|im_start|>system\n{}<|im_end|>\n"
    assert lmkit(*command, stdin=b"u\n").text == user + "\n"
    assert lmkit(*command, "--system", "sé", stdin=b"u\n").text == said.format("sé") + user + "\n"
    records = [*command, "--input", "jsonl", "--system", "S"]
    assert lmkit(*records, stdin=lines({"prompt": "u", "text": "x"})).text == said.format("S") + user + "\n"
    assert lmkit(*records, stdin=lines({"input": "u", "system": "own"})).text == said.format("own") + user + "\n"
    assert lmkit(*records, stdin=lines(CHAT)).text.startswith(said.format("s"))


def test_a_conversation_that_the_assistant_ends_is_not_gone_on_with(lmkit):
    command = ["prompt", "chat", "-b", "--template", "chatml", "--input", "jsonl"]
    assert lmkit(*command, stdin=lines(chatted("u", "a"))).text.endswith("assistant\na<|im_end|>\n\n")
    assert lmkit(*command, stdin=lines(chatted("u", "a", "v"))).text.endswith("<|im_start|>assistant\n\n")


def test_prompts_of_other_commands_are_what_a_user_says(lmkit):
    filled = lmkit("prompt", "fill", "--template", "[X]: ", stdin=b"a [Z]\n").stdout
    done = lmkit("prompt", "chat", "--template", "chatml", "--input", "jsonl", stdin=filled)
    assert done.records == [
        {"id": 1, "prompt": "<|im_start|>user\na [Z]:<|im_end|>\n<|im_start|>assistant\n", "slot": None,
         "input": "a [Z]"}
    ]  # fmt: skip


def test_templates_of_files_and_folders(lmkit, write, work):
    template = "{{ bos_token }}{% for m in messages %}\n<|{{ m.role }}|>{{ m.content }}\n{% endfor %}\n"
    command = ["prompt", "chat", "-b", "--template"]
    write("chat.jinja", template.encode())
    assert lmkit(*command, "chat.jinja", "--set", "bos_token=<s>", stdin=b"u\n").text == "<s><|user|>u\n\n"
    assert lmkit(*command, "chat.jinja", stdin=b"u\n").text == "<|user|>u\n\n"
    (work / "model").mkdir()
    settings = {"chat_template": template, "bos_token": {"content": "<b>"}}
    (work / "model" / "tokenizer_config.json").write_text(json.dumps(settings))
    assert lmkit(*command, "model", stdin=b"u\n").text == "<b><|user|>u\n\n"
    write("tools.jinja", b"{{ tools | tojson }}{{ strftime_now('%d %b') }}{{ n + 1 }}")
    record = lines({"prompt": "u", "tools": [{"a": "<é>"}]})
    more = ["--input", "jsonl", "--date", "2024-07-26", "--set", "n=1"]
    assert lmkit(*command, "tools.jinja", *more, stdin=record).text == '[{"a": "<é>"}]26 Jul2\n'


def test_a_message_that_holds_marks_is_changed_left_or_refused_with_a_warning(lmkit, fails):
    command = ["prompt", "chat", "-b", "--template", "llama2", "--input", "jsonl"]
    data = lines(chatted("u"), chatted("u", "a [/INST] b", "v"))
    told = "lmkit: <stdin>:2: message 2 contains [/INST], a control token of the template, "
    done = lmkit(*command, stdin=data)
    assert done.stderr == f"{told}broken up with a space\n"
    assert "a [ /INST] b</s>" in done.text
    done = lmkit(*command, "--no-escape", stdin=data)
    assert done.stderr == f"{told}left as it is\n"
    assert "a [/INST] b</s>" in done.text
    assert "<stdin>:2: message 2 contains [/INST]" in fails(3, *command, "--strict", stdin=data).stderr
    many = lmkit(*command, stdin=lines(*[chatted("<s>")] * 13)).stderr.splitlines()
    assert many[-1] == "lmkit: 3 more conversations contain control tokens of the template"
    assert len(many) == 11


@pytest.mark.parametrize(
    ("status", "arguments", "stdin", "told"),
    [
        (2, [], "", "no template"),
        (2, ["--template", "llama3"], "", "is neither a file or folder nor one of llama2, llama2-meta, chatml"),
        (2, ["--template", "chatml", "--strict", "--escape"], "", "exclude each other"),
        (2, ["--template", "chatml", "--set", "a=1"], "", "--set and --date need a Jinja2 template"),
        (2, ["--template", "ok.jinja", "--set", "a"], "", "expected NAME=VALUE"),
        (2, ["--template", "ok.jinja", "--date", "today"], "", "is not a date"),
        (2, ["--template", "-"], "", "stdin is wanted for two things"),
        (3, ["--template", "bad.jinja"], "", "bad.jinja: line 2: "),
        (3, ["--template", "junk"], "", "junk: not UTF-8"),
        (4, ["--template", "."], "", "no chat template in the folder"),
        (3, ["--template", "ok.jinja", "--input", "jsonl"], '{"messages": 1}', "<stdin>:1: `messages` is not a list"),
        (3, ["--template", "llama2", "--input", "jsonl"], "{}", "<stdin>:1: the record has neither `messages`"),
        (3, ["--template", "llama2", "--input", "jsonl"], '{"messages": [{"role": "assistant", "content": ""}]}',
         "<stdin>:1: message 1 has the role 'assistant', expected 'user'"),
        (3, ["--template", "chatml", "--input", "jsonl"],
         '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
         "<stdin>:1: message 2 has the role 'user', as the one before: roles must alternate"),
        (3, ["--template", "chatml", "--input", "jsonl"],
         '{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}',
         "<stdin>:1: message 2 has the role 'tool' without an assistant's message"),
        (3, ["--template", "raise.jinja"], "u\n", "<stdin>:1: raise.jinja: line 1: not so"),
        (3, ["--template", "clock.jinja"], "u\n", "'strftime_now' is undefined"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(status, arguments, stdin, told, fails, write):
    write("ok.jinja", b"{{ messages }}")
    write("bad.jinja", b"a\n{% if %}\n")
    write("raise.jinja", b"{{ raise_exception('not so') }}")
    write("clock.jinja", b"{{ strftime_now('%Y') }}")
    write("junk", b"\xff\xfe")
    assert told in fails(status, "prompt", "chat", *arguments, stdin=stdin.encode()).stderr


def test_a_checkpoint_has_no_chat_template(fails, shelf):
    assert "no chat template" in fails(4, "prompt", "chat", "--template", shelf["juan.lm"]).stderr


def test_a_folder_gives_what_its_tokenizer_in_transformers_gives(lmkit, work):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models

    template = (
        "{{ bos_token }}{% for m in messages %}\n<|{{ m.role }}|>\n    {%- if m.role == 'tool' %}\n    {% endif %}\n"
        "{{ m.content | trim }}{{ eos_token }}{{ pad_token }}\n{% endfor %}\n"
        "{%- if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<u>": 0, "<b>": 1, "<e>": 2}, unk_token="<u>")),
        bos_token="<b>", eos_token="<e>", unk_token="<u>", chat_template=template,
    )  # fmt: skip
    tokenizer.save_pretrained(work / "hub")
    expected = tokenizer.apply_chat_template(CHAT["messages"], tokenize=False, add_generation_prompt=True)
    done = lmkit("prompt", "chat", "-b", "--template", "hub", "--input", "jsonl", stdin=lines(CHAT))
    assert done.text == f"{expected}\n"
    told = lmkit("prompt", "chat", "--template", "hub", stdin=b"a <e> <u> <|user|>").stderr
    assert told == "lmkit: <stdin>:1: message 1 contains <e>, a control token of the template, broken up with a space\n"
