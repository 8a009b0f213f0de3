"""Section 1 of the manual: a page for lmkit, for each group and for each command."""

import re
from collections.abc import Iterable

from lmkit import command_table
from lmkit.errors import Status
from lmkit.io import size_limits
from lmkit.manual.command_tree import Node, Parameter
from lmkit.manual.roff import block, bold, heading, inline, italic, paragraphs, see_also, tagged

STREAMS = """
Texts are UTF-8, one sentence per line. A byte order mark and carriage returns at line ends are
dropped. Input compressed with gzip, bzip2, xz or zstd is recognised and decompressed. `-` as a
file name is stdin, and so is a missing FILE. Only one input can be stdin.

Results go to stdout, or with `-o` to a file that is replaced atomically when it is complete.
An unfinished file has no name or, on file systems without unnamed files, the name
`.FILE.*.part`; the next command that writes FILE removes what a killed command left. Messages
and progress go to stderr. A checkpoint is not written to a terminal. An output that is also an input, stdin
included, is refused. With `--json` each line of a result is a JSON object.

A YAML file named with `--config` can supply options: long names without dashes, and values.
Options on the command line override it. `--print-config` prints such a file.
"""
TERMINAL = """
Results that are tab-separated in files and pipes are aligned tables on a terminal. Columns of text
are folded to its width. A table with too many numbers for the width is turned: each record is a
column. Signatures follow the table. `--json` and `--bare` print the same everywhere. Control
characters and bidirectional overrides are shown escaped.

Work of more than two seconds shows its progress in one line: share, time left, loss and rate, as
many as the width has room for. It is wiped at the end. Where stderr is no terminal, there is a
plain line every 30 seconds instead. `--quiet` turns both off.
"""
LIMITS = """
Memory is bounded by the model and by buffers, not by the size of the input. A file or a line that
must be in memory as a whole has a size limit, after decompression:

{stated}

A compressed or piped checkpoint or ARPA file is read no further than its header claims, and
input that begins like no known format is refused by its first bytes. The files of a Hugging
Face folder are read without decompression.
"""
STATUSES = {
    Status.DONE: "Done.",
    Status.NO: "A requested check failed; the output was written.",
    Status.USAGE: "Invalid options or arguments.",
    Status.DATA: "Bad input: missing, empty, not UTF-8 or not in the expected format.",
    Status.CHECKPOINT: "Not a checkpoint, or a checkpoint that is damaged, too new or of the wrong kind.",
    Status.MISSING: "A required package or program is not installed.",
    Status.BUG: "A bug in lmkit; please report it.",
    Status.UNWRITTEN: "The output could not be written (disk full, no permission), or memory ran out.",
    Status.INTERRUPTED: "Interrupted, as by Ctrl-C.",
    Status.READER_GONE: "Broken pipe: the reader of the output has exited, as `head` does.",
    Status.TERMINATED: "Terminated.",
}
ENVIRONMENT = {
    "NO_COLOR": "If set and not empty, turns colours off, also those of `FORCE_COLOR`.",
    "FORCE_COLOR": "If set and not empty, colours help and messages in files and pipes too. Results stay plain there.",
    "TERM": "If `dumb`, there are no colours, and progress is a plain line every 30 seconds.",
    "COLUMNS": "Width of help texts and tables, instead of 80 columns and the terminal's width.",
    "TMPDIR": "Folder for temporary files. The file of `-o` is prepared in its own folder instead.",
    "OMP_NUM_THREADS": "Threads of numerical libraries. `--threads` sets those of lmkit.",
    "NPY_DISABLE_CPU_FEATURES": "CPU instructions that numpy avoids. Commands that sort set it on AMD Zen 4, where "
    "numpy's AVX-512 sort is slow, unless it is already set, even to an empty value.",
    "LMKIT_DEBUG": "If set, errors show a traceback, as with `--debug`.",
}


def page(node: Node, topics: Iterable[str]) -> str:
    """The page of a command or group; the overview names the pages of topics too."""
    summary = node.summary.rstrip(".")
    if not summary[1].isupper():
        summary = summary[0].lower() + summary[1:]
    lines = [
        *heading(page_name(node.name), 1, summary),
        *(".SH SYNOPSIS", _synopsis(node)),
        *(".SH DESCRIPTION", *paragraphs(node.text)),
    ]
    if node.verbs:
        lines += [".SH COMMANDS", *_command_list(node.name)]
    if node.arguments:
        lines += [".SH ARGUMENTS", *tagged((italic(a.metavar), f"{a.help} {a.notes}") for a in node.arguments)]
    own = [option for option in node.options if node.verbs or not option.shared]
    lines += [".SH OPTIONS"] if own else []
    for title in dict.fromkeys(option.section for option in own):
        lines += [f".SS {inline(title)}"] if title else []
        lines += _option_list(option for option in own if option.section == title)
    if not node.verbs:
        lines += [".SS Options of every command", *_option_list(option for option in node.options if option.shared)]
    if node.name:
        lines += [".SH EXIT STATUS", "0 on success; otherwise above 0, with a message on stderr."]
        lines += ["All exit statuses are listed in", ".BR lmkit (1)."]
    else:
        lines += [".SH STREAMS AND FILES", *paragraphs(STREAMS)]
        lines += [".SH TERMINAL", *paragraphs(TERMINAL)]
        lines += [".SH EXIT STATUS", *tagged((bold(str(int(status))), text) for status, text in STATUSES.items())]
        stated = "\n".join(f"    {limit.what:<40} {limit}" for limit in size_limits.STATED)
        lines += [".SH LIMITS", *paragraphs(LIMITS.format(stated=stated))]
        lines += [".SH ENVIRONMENT", *tagged((bold(name), text) for name, text in ENVIRONMENT.items())]
    if node.examples:
        lines += [".SH EXAMPLES", *block(node.examples)]
    related = [(page_name(name), 1) for name in _related(node)]
    related += [] if node.name else [(topic, 7) for topic in topics]
    return "\n".join([*lines, *see_also(related)])


def page_name(name: str) -> str:
    """The name of a command's page."""
    return "-".join(["lmkit", *name.split()])


def _synopsis(node: Node) -> str:
    words = [bold(f"lmkit {node.name}".rstrip()), r"\fICOMMAND\fR" if node.verbs else ""]
    words += [f"{bold(option.spellings[-1])} {italic(option.metavar)}" for option in node.options if option.required]
    operands = [italic("[FILE]...")] if node.verbs else [italic(argument.metavar) for argument in node.arguments]
    return " ".join(filter(None, [*words, italic("[OPTION]..."), *operands]))


def _command_list(name: str) -> Iterable[str]:
    for group in [name] if name else ["", *command_table.GROUPS]:
        if not name:
            yield f".SS {inline(command_table.GROUPS.get(group, 'Models of any kind').rstrip('.'))}"
        inside = [entry for entry in command_table.COMMANDS if entry.rpartition(" ")[0] == group]
        yield from tagged((bold(f"lmkit {entry}"), command_table.COMMANDS[entry].summary) for entry in inside)


def _option_list(options: Iterable[Parameter]) -> Iterable[str]:
    for option in options:
        tag = f"{', '.join(map(bold, option.spellings))} {italic(option.metavar)}".rstrip()
        yield from tagged([(tag, f"{option.help} {option.notes}")])


def _related(node: Node) -> list[str]:
    """Where to read on: what is below; for a command its group, its module's commands and those its text names."""
    if not node.name:
        return [*command_table.GROUPS, *command_table.COMMANDS]
    if node.verbs:
        return ["", *(name for name in command_table.COMMANDS if name.startswith(f"{node.name} "))]
    said = re.findall(r"\blmkit (\w+(?: \w+)?)", f"{node.text}\n{node.examples}")
    near = {command_table.typed_command(words.split()) for words in said}
    module = command_table.COMMANDS[node.name].module
    near |= {name for name, command in command_table.COMMANDS.items() if command.module == module}
    groups = [group for group in command_table.GROUPS if node.name.startswith(f"{group} ")]
    return ["", *groups, *(name for name in command_table.COMMANDS if name in near and name != node.name)]
