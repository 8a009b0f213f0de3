"""What the manual and the completions are made of: the command table and the parser's parameters, as plain records."""

import inspect
import re
from collections.abc import Iterable, Mapping
from textwrap import dedent
from typing import Any, NamedTuple

from lmkit import cli, command_table
from lmkit.commands.options.option_groups import sections_of

ABOUT = """
lmkit trains, scores and samples from language models: n-gram models, neural models and
published transformers. It also trains tokenizers and word vectors, and runs prompts and evaluations. Each
command does one thing. Commands read files or stdin and write to stdout, so they combine in pipes.

A model is one file, a checkpoint: its parameters, its tokenizer, its provenance and digests of
all of these. Commands verify what they read, and exit with status 4 if a checkpoint is damaged.
`lmkit info --verify MODEL` verifies a whole checkpoint. A command accepts every kind of model
that can do its task.

`lmkit COMMAND --help` describes a command briefly, a page such as lmkit-ngram-fit(1) in full.
"""
EXAMPLES = """
lmkit data text python-docs > text.txt
head -n 2000 text.txt > train.txt; tail -n +2001 text.txt > test.txt
lmkit ngram fit train.txt -o model.lm
lmkit ppl -m model.lm test.txt
lmkit ngram fit train.txt | lmkit ppl test.txt
lmkit sample -m model.lm
"""


class Parameter(NamedTuple):
    """An option or, without spellings, an argument."""

    spellings: list[str]
    metavar: str  # empty for a flag
    help: str
    notes: str = ""  # default, allowed values and so on, in sentences
    values: tuple[str, ...] = ()  # all that it can be, where they can be listed
    numeric: bool = False
    repeats: bool = False
    required: bool = False
    shared: bool = True  # not the command's own
    section: str = ""  # the title of its section, if there are such

    @property
    def offer(self) -> str:
        """What a completion has to offer for it: words, FILES or nothing."""
        return " ".join(self.values) if self.values or self.numeric else "FILES"


class Node(NamedTuple):
    """What the words after `lmkit` lead to: a command, a group, or the root, whose name is empty."""

    name: str
    summary: str
    text: str
    examples: str
    options: list[Parameter]
    arguments: list[Parameter]
    verbs: dict[str, str]  # what can come next, with summaries; empty for a command


def nodes() -> list[Node]:
    """Return the root, each group and each command."""
    root = cli.build(list(command_table.COMMANDS))
    found = [_node("", command_table.SUMMARY, root)]
    summaries = {name: command.summary for name, command in command_table.COMMANDS.items()}
    for name, summary in (command_table.GROUPS | summaries).items():
        parsed = root
        for word in name.split():
            parsed = parsed.commands[word]
        found.append(_node(name, summary, parsed))
    return found


def _node(name: str, summary: str, parsed: Any) -> Node:
    own: Mapping[str, inspect.Parameter] = {}
    titles: Mapping[str, str] = {}
    text, examples = (summary, "") if name else (ABOUT, EXAMPLES.strip())
    if name in command_table.COMMANDS:
        function = command_table.function_of(name)
        own = inspect.signature(function, eval_str=True).parameters
        titles = {name: title for title, names in sections_of(function).items() for name in names}
        text, examples = _without_examples(inspect.getdoc(function) or "")
    parameters = [_parameter(parameter, own, titles) for parameter in parsed.params if not parameter.hidden]
    order = [*dict.fromkeys(titles.values()), ""]
    options = sorted((p for p in parameters if p.spellings), key=lambda option: order.index(option.section))
    options = [*options, Parameter(["-h", "--help"], "", "Show this message and exit.")]
    verbs = {verb: command.short_help for verb, command in getattr(parsed, "commands", {}).items()}
    return Node(name, summary, text, examples, options, [p for p in parameters if not p.spellings], verbs)


def _without_examples(doc: str) -> tuple[str, str]:
    """A docstring, and the indented lines that follow its line `Examples:`."""
    before, _, after = doc.partition("\nExamples:\n")
    lines = after.split("\n")
    end = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return "\n".join([before, *lines[end:]]).strip("\n"), dedent("\n".join(lines[:end])).strip("\n")


def _parameter(parsed: Any, own: Mapping[str, inspect.Parameter], titles: Mapping[str, str]) -> Parameter:
    """A parameter as the parser knows it, with the values that its check in `own` allows."""
    option = parsed.param_type_name == "option"
    flag = option and bool(parsed.is_flag or parsed.count)
    values = tuple(getattr(parsed.type, "choices", ()))
    for extra in getattr(own[parsed.name].annotation, "__metadata__", ()) if parsed.name in own else ():
        values = getattr(getattr(extra, "callback", None), "names", values)
    spellings = sorted([*parsed.opts, *parsed.secondary_opts], key=lambda spelling: spelling.startswith("--"))
    return Parameter(
        spellings if option else [],
        "" if flag else parsed.metavar or (parsed.type.name if option else parsed.name).upper(),
        parsed.help or "", _notes(parsed, values), values,
        numeric=parsed.type.name.startswith(("int", "float")),
        repeats=parsed.multiple or parsed.nargs == -1, required=parsed.required, shared=parsed.name not in own,
        section=titles.get(parsed.name, ""),
    )  # fmt: skip


def _notes(parsed: Any, values: Iterable[str]) -> str:
    notes = []
    if not all(re.search(rf"\b{re.escape(value)}\b", parsed.help or "") for value in values):
        notes.append(f"One of {', '.join(f'`{value}`' for value in values)}.")
    limits = {"at least": getattr(parsed.type, "min", None), "at most": getattr(parsed.type, "max", None)}
    if limit := " and ".join(
        f"{word} {bound if isinstance(bound, int) else f'{bound:g}'}"
        for word, bound in limits.items()
        if bound is not None
    ):
        notes.append(f"{limit.capitalize()}.")
    if parsed.required:
        notes.append("Required.")
    elif isinstance(parsed.show_default, str):
        notes.append(f"Default: {parsed.show_default}.")
    elif parsed.show_default and parsed.default is not False and parsed.default not in (None, "", (), []):
        notes.append(f"Default: `{parsed.opts[0] if parsed.default is True else parsed.default}`.")
    return " ".join(notes)
