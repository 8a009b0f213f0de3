"""Conversations as prompts: to the byte as published, and as transformers renders templates."""

import json
from datetime import date
from itertools import product

import pytest

from lmkit.errors import CheckpointError, DataError
from lmkit.prompting import chat_templates
from lmkit.prompting.chat_templates import BUILT_IN, Source


def turns(*texts, system=None):
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def written(name, messages, **more):
    found = BUILT_IN[name].render(messages, **more)
    return found.text + found.joint


def test_llama_2_to_the_byte():
    assert written("llama2", turns("u1", "a1", "u2", system="s")) == (
        "<s>[INST] <<SYS>>\ns\n<</SYS>>\n\nu1 [/INST] a1</s><s>[INST] u2 [/INST] "
    )
    assert BUILT_IN["llama2"].render(turns(" u ")) == ("<s>[INST]  u  [/INST]", " ", None)
    assert written("llama2", turns("u", "a")) == "<s>[INST] u [/INST] a</s>"
    assert written("llama2-meta", turns(" u1 ", "a1\n", "u2", system="s ")) == (
        "<s>[INST] <<SYS>>\ns\n<</SYS>>\n\nu1 [/INST] a1 </s><s>[INST] u2 [/INST] "
    )


def test_chatml_to_the_byte():
    assert written("chatml", turns("u", "a", "v", system="s")) == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
        "<|im_start|>user\nv<|im_end|>\n<|im_start|>assistant\n"
    )
    assert written("chatml", turns("u", "a"), going_on=False).endswith("assistant\na<|im_end|>\n")


@pytest.mark.parametrize(
    ("name", "messages", "told"),
    [
        ("llama2", turns("u") + turns("v"), "message 2 has the role 'user'"),
        ("llama2", turns("u", "a")[1:], "message 1 has the role 'assistant'"),
        ("llama2", turns("u", "a") + turns(system="s"), "message 3 has the role 'system'"),
        ("llama2", turns(system="s"), "only a system message"),
        ("chatml", turns("u") + turns(system="s"), "message 2 has the role system"),
        ("chatml", [{"role": "wizard", "content": ""}], "'wizard'"),
        ("chatml", [{"role": "user"}], "message 1 has no text `content`"),
        ("llama2", [{"role": "user", "content": ["x"]}], "message 1 has no text `content`"),
    ],
)
def test_turns_out_of_order(name, messages, told):
    with pytest.raises(DataError, match=told):
        BUILT_IN[name].render(messages)


@pytest.mark.parametrize("value", [None, [], "x", [1], [{}], [{"role": 1, "content": "x"}]])
def test_what_is_no_conversation(value):
    with pytest.raises(DataError):
        chat_templates.messages_in(value)


# Templates in the manner of well-known families, written for these tests.

TEMPLATES = {
    "headers": """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set said = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set said = "" %}
{%- endif %}
{%- if not day is defined %}
    {%- if strftime_now is defined %}{% set day = strftime_now("%d %b %Y") %}
    {%- else %}{% set day = "26 Jul 2024" %}{% endif %}
{%- endif %}
{{- "<|head|>system<|/head|>\\n\\nToday: " + day + "\\n\\n" + said + "<|eot|>" }}
{%- for message in messages %}
    {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\\n\\n' }}
{%- endif %}
""",
    "tools": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
    {{- "# Tools <tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson | safe }}
    {%- endfor %}
    {{- "\\n</tools>" + tools | tojson(indent=2) + "<|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(last=messages | length - 1, found=false) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if not ns.found and message.role == "user" %}{% set ns.found = true %}{% set ns.last = index %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if loop.index0 > ns.last and message.content is string and '</think>' in message.content %}
        {%- set message = {'role': message.role, 'content': message.content.split('</think>')[-1].lstrip('\\n')} %}
    {%- endif %}
<|im_start|>{{ message.role }}
{{ message.content ~ '<|im_end|>' }}
{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "inst": """{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('user and assistant take turns') }}
{% endif %}
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}
{% elif message.role == 'assistant' %}
{% generation %}{{ ' ' + message['content'] + ' ' + eos_token}}{% endgeneration %}{% endif %}
{% endfor %}""",
    "lines": """{% macro said(message) %}
    {% if message.content is string %}
{{ message.content }}
    {% else %}
        {% for part in message.content if part.type == 'text' %}
{{ part.text }}
        {% endfor %}
    {% endif %}
{% endmacro %}
{% for message in messages %}
    {% if message['role'] == 'tool' %}{% continue %}{% endif %}
<|{{ message['role'] }}|>
{{ said(message) }}{{ eos_token }}
{% if loop.last and add_generation_prompt %}
<|assistant|>
{% endif %}
{% endfor %}
{{ missing }}

""",
    "turns": """{{ bos_token }}{% for message in messages %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
<start_of_turn>{{ role }}
{{ message['content'] | trim }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}""",
}
TOOLS = [{"type": "function", "function": {"name": "f", "description": "<é> & '", "parameters": {"a": [1.5, None]}}}]
CONVERSATIONS = [
    turns("hi"), turns(" ¿qué?\n", system=" Be kind. "), turns("a", "<think>x</think>\n b ", "c"),
    turns("a", "b", system=""),
    turns("a") + turns("b"), [{"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image"}]}],
    [*turns("a"), {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "1"}],
]  # fmt: skip
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_give_what_transformers_gives(name):
    hub = pytest.importorskip("transformers.utils.chat_template_utils")
    equal = 0
    for messages, on, tools in product(CONVERSATIONS, (True, False), (None, TOOLS)):
        more = {**TOKENS, "tools": tools, **({"day": "today"} if name == "headers" else {})}
        try:
            (expected, *_), *_ = hub.render_jinja_template(
                [messages], chat_template=TEMPLATES[name], add_generation_prompt=on, **more
            )
        except Exception:
            expected = None
        try:
            found = Source(TEMPLATES[name], more).chat({}, None).render(messages, going_on=on)
        except DataError:
            assert expected is None
            continue
        assert found.text + found.joint == expected
        equal += 1
    assert equal >= 8


def test_no_clock_is_read():
    source = Source(TEMPLATES["headers"], TOKENS)
    assert "Today: 26 Jul 2024\n" in source.chat({}, None).render(turns("a")).text
    assert "Today: 05 Feb 2021\n" in source.chat({}, date(2021, 2, 5)).render(turns("a")).text
    with pytest.raises(DataError, match=r"^the chat template: line 1: 'strftime_now' is undefined"):
        Source("{{ strftime_now('%Y') }}").chat({}, None).render(turns("a"))


def test_a_template_s_own_complaint_is_told_with_its_line():
    with pytest.raises(DataError, match=r"^the chat template: line 3: user and assistant take turns$"):
        Source(TEMPLATES["inst"], TOKENS).chat({}, None).render(turns("a") + turns("b"))


# Folders.


def folder(**files):
    return {
        name.replace("__", "."): value.encode() if isinstance(value, str) else json.dumps(value).encode()
        for name, value in files.items()
    }


def test_where_a_folder_has_its_template():
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}, "pad_token": None, "unk": 1}
    both = {"chat_template": "A{{ eos_token }}", **tokens}
    assert chat_templates.source_in(folder(tokenizer_config__json=both)).text == "A{{ eos_token }}"
    found = chat_templates.source_in(folder(tokenizer_config__json=both, chat_template__jinja="B\n"))
    assert (found.text, found.values) == ("B\n", {"bos_token": "<s>", "eos_token": "</s>"})
    listed = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    assert chat_templates.source_in(folder(tokenizer_config__json={"chat_template": listed})).text == "D"
    assert chat_templates.source_in(folder(chat_template__json={"chat_template": "J"})).text == "J"
    more = {"chat_template": "x", "added_tokens_decoder": {"7": {"content": "<call>", "special": True}}}
    assert chat_templates.source_in(folder(tokenizer_config__json=more)).chat({}, None).marks == ("<call>",)


@pytest.mark.parametrize(
    "files",
    [{}, {"tokenizer_config__json": {}}, {"tokenizer_config__json": "{"}, {"tokenizer_config__json": []},
     {"tokenizer_config__json": {"chat_template": [1]}}],
)  # fmt: skip
def test_folders_without_a_template(files):
    with pytest.raises(CheckpointError):
        chat_templates.source_in(folder(**files))


# Marks.


def test_marks_in_messages_are_found_and_broken_up():
    marks = BUILT_IN["llama2"].marks
    messages = [*turns("a [/INST] b</s>"), {"role": "assistant", "content": [{"text": "<s>"}]}]
    assert list(chat_templates.marks_in(messages, marks)) == [(1, "[/INST]"), (1, "</s>"), (2, "<s>")]
    safe = chat_templates.escaped(messages, marks)
    assert [message["content"] for message in safe] == ["a [ /INST] b< /s>", [{"text": "< s>"}]]
    assert not list(chat_templates.marks_in(safe, marks))
    assert not list(chat_templates.marks_in(chat_templates.escaped(turns("<<<<s>s>s>"), ("<<", "<s>")), ("<<", "<s>")))


def test_pairs_of_tags_within_turns_are_no_marks():
    names = ["<think>", "</think>", "<s>", "</s>", "<tool_call>", "</tool_call>", "<pad>", "<|end|>", "</alone>"]
    assert chat_templates.without_tags(names) == ["<s>", "</s>", "<pad>", "<|end|>", "</alone>"]
    assert "<think>" not in Source("{{ '<|end|>' }}", special=tuple(names)).chat({}, None).marks


def test_marks_of_a_template_are_those_that_it_writes():
    marks = {name: set(Source(text, TOKENS).chat({}, None).marks) for name, text in TEMPLATES.items()}
    assert marks["inst"] == {"[INST]", "[/INST]", "<s>", "</s>"}
    assert marks["turns"] == {"<start_of_turn>", "<end_of_turn>", "<s>", "</s>"}
    assert marks["tools"] >= {"<|im_start|>", "<|im_end|>"}


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ("sua", None), ("au", None), ("uatua", None), ("uatta", None),
        ("uu", "message 2 has the role 'user', as the one before"), ("uaa", "message 3 has the role 'assistant'"),
        ("us", "message 2 has the role system"), ("ut", "message 2 has the role 'tool' without"), ("x", "the role 'x'"),
    ],
)  # fmt: skip
def test_roles_that_do_not_alternate(roles, message):
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    messages = [{"role": names.get(role, role), "content": ""} for role in roles]
    if message is None:
        chat_templates.check_turns(messages)
    else:
        with pytest.raises(DataError, match=message):
            chat_templates.check_turns(messages)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|eot_id|>\n{% endfor %}", "<|eot_id|>"),
        ("{% for m in messages %}[{{ m.role }}] {{ m.content }} {{ eos_token }}{% endfor %}", "</s>"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", ""),
        ("{{ raise_exception('no') }}", ""),
    ],
)
def test_what_ends_a_turn(text, end):
    assert Source(text, {"eos_token": "</s>"}).chat({}, None).end_of_turn() == end
    assert BUILT_IN["llama2"].end_of_turn() == BUILT_IN["llama2-meta"].end_of_turn() == "</s>"
    assert BUILT_IN["chatml"].end_of_turn() == "<|im_end|>"
