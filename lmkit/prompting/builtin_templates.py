r"""The chat templates that are built in, written in Jinja2 as transformers takes them: what a fine-tuned model keeps.

`instruct` is the named format of that name: a user's message that has an `input` gets its block, others none. Each
gives, byte for byte, what `chat_templates.BUILT_IN` writes.
"""

from lmkit.prompting.named_templates import FORMATS

INSTRUCTION, INPUT = "[X:instruction]", "[X:input]"
WITH_INPUT, WITHOUT = FORMATS["instruct"].templates
PREAMBLES = tuple(text.partition("###")[0] for text in (WITH_INPUT, WITHOUT))
"""The text before the first block, with an input and without: only in front of the first turn."""
INSTRUCT_MARKS = ("### Instruction:", "### Input:", "### Response:")
TURN_END = "\n\n"
"""Between an answer and the next instruction."""

CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def _llama2(text: str, end: str) -> str:
    return (
        "{%- set first = namespace(text='') -%}{%- for message in messages -%}"
        "{%- if message['role'] == 'system' -%}"
        f"{{%- set first.text = '<<SYS>>\\n' + {text} + '\\n<</SYS>>\\n\\n' -%}}"
        "{%- elif message['role'] == 'user' -%}"
        f"{{{{- '<s>[INST] ' + first.text + {text} + ' [/INST] ' -}}}}{{%- set first.text = '' -%}}"
        f"{{%- else -%}}{{{{- {text} + '{end}' -}}}}{{%- endif -%}}{{%- endfor -%}}"
    )


def _filled(template: str, preamble: str) -> str:
    """A format's text behind its preamble as an expression of Jinja2."""
    quoted = template.removeprefix(preamble).replace("\n", "\\n")
    slots = {INSTRUCTION: "' + message['content'] + '", INPUT: "' + message['input'] + '"}
    for slot, expression in slots.items():
        quoted = quoted.replace(slot, expression)
    return f"'{quoted}'"


def _quoted(text: str) -> str:
    return "'" + text.replace("\n", "\\n") + "'"


INSTRUCT = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}{{- message['content'] + '\\n\\n' -}}"
    "{%- elif message['role'] == 'user' -%}"
    "{%- if loop.index0 == 0 or loop.previtem['role'] == 'system' -%}"
    f"{{{{- {_quoted(PREAMBLES[0])} if message['input'] else {_quoted(PREAMBLES[1])} -}}}}{{%- endif -%}}"
    f"{{%- if message['input'] -%}}{{{{- {_filled(WITH_INPUT, PREAMBLES[0])} -}}}}"
    f"{{%- else -%}}{{{{- {_filled(WITHOUT, PREAMBLES[1])} -}}}}{{%- endif -%}}"
    f"{{%- else -%}}{{{{- message['content'] + {_quoted(TURN_END)} -}}}}{{%- endif -%}}"
    "{%- endfor -%}"
)
SOURCES = {
    "llama2": _llama2("message['content']", "</s>"),
    "llama2-meta": _llama2("message['content'] | trim", " </s>"),
    "chatml": CHATML,
    "instruct": INSTRUCT,
}


def instruct(turn: str, given: str | None, *, first: bool) -> str:
    """A user's turn: an instruction and, if there is one, its input; the preamble only in front of the first."""
    template, preamble = (WITH_INPUT, PREAMBLES[0]) if given else (WITHOUT, PREAMBLES[1])
    text = template if first else template.removeprefix(preamble)
    before, _, rest = text.partition(INSTRUCTION)
    between, slot, after = rest.partition(INPUT)
    return before + turn + between + ((given or "") if slot else "") + after
