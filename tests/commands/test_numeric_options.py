"""Numbers of any size, from options, settings and files: none is taken beyond its range, and none is a bug of lmkit."""

import math
import re
from contextlib import suppress
from functools import cache

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from lmkit import cli, command_table

LONG = "1" + "0" * 5000
WRONG = (
    LONG,
    f"-{LONG}",
    "9" * 50,
    "-" + "9" * 50,
    "1e400",
    "-1e400",
    "nan",
    "inf",
    "-inf",
    "x",
)


@cache
def parameters(name):
    """The parameters of a command."""
    command = cli.build([name])
    for word in name.split():
        command = command.commands[word]
    return command.params


def numeric(name):
    """The numeric options of a command."""
    return [p for p in parameters(name) if p.type.name.startswith(("int", "float")) and p.opts[0].startswith("--")]


def required(name):
    """Values for the arguments and options that a command requires."""
    missing = [p for p in parameters(name) if p.required]
    values = ["1" if p in numeric(name) else "none" for p in missing]
    return [
        value if p.param_type_name == "argument" else f"{p.opts[0]}={value}"
        for p, value in zip(missing, values, strict=True)
    ]


NUMERIC = [(name, number) for name in command_table.COMMANDS for number in range(len(numeric(name)))]
"""Commands and numbers of their options, by the one table."""


def beyond(option):
    """Texts of the nearest numbers that are out of an option's range."""
    least, most = option.type.min, option.type.max
    if option.type.name.startswith("int"):
        return str(int(least) - 1), str(int(most) + 1)
    return repr(math.nextafter(least, -math.inf)), repr(math.nextafter(most, math.inf))


@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_every_numeric_option_has_a_range(name):
    for option in numeric(name):
        assert math.isfinite(option.type.min), option.name
        assert math.isfinite(option.type.max), option.name
        assert option.type.min < option.type.max, option.name


def refused(fails, name, option, value):
    error = fails(2, *name.split(), *required(name), f"{option.opts[0]}={value}").stderr
    assert option.opts[0] in error
    assert len(error) < 500


@pytest.mark.few(10)
@pytest.mark.parametrize("name", dict(NUMERIC))
def test_numbers_out_of_range_are_usage_errors(name, fails):
    for place, option in enumerate(numeric(name)):
        refused(fails, name, option, WRONG[place % len(WRONG)])
    refused(fails, name, option, beyond(option)[1])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), NUMERIC)
def test_all_numbers_out_of_range_are_usage_errors(name, number, fails):
    option = numeric(name)[number]
    for value in (*WRONG, *beyond(option), ""):
        refused(fails, name, option, value)


@given(st.sampled_from(NUMERIC), st.integers() | st.floats(), st.sampled_from(["", "1" * 5000, "e400", "_0"]))
def test_no_number_makes_the_parser_fail(chosen, number, end):
    """Whatever an option is given, the parser's type takes it within its range or says what is wrong."""
    name, place = chosen
    option = numeric(name)[place]
    with suppress(typer.BadParameter):
        value = option.type.convert(f"{number}{end}", option, None)
        assert option.type.min <= value <= option.type.max or math.isnan(value)  # which is refused afterwards


@pytest.mark.parametrize("value", [LONG, f"-{LONG}", f"0x{'f' * 5000}", f"0o{'7' * 6000}", "1.0e+400", ".nan", ".inf"])
@pytest.mark.parametrize("option", ["seed", "temperature", "max-tokens"])
def test_numbers_in_settings(option, value, fails, shelf, write):
    write("s.yaml", f"{option}: {value}\n".encode())
    done = fails(2, "sample", "-m", shelf["char-witten-bell.lm"], "-c", "s.yaml")
    assert len(done.stderr) < 500
    assert option in done.stderr or "s.yaml: not YAML (Exceeds the limit (4300 digits)" in done.stderr


@pytest.mark.parametrize(
    "text",
    ["seed: 2020-13-45", "seed: !!int ''", "seed: !!timestamp x", "seed: !!bool x", "? [a]\n: 1", "seed: !!float x"],
)
def test_settings_that_their_tags_do_not_fit(text, fails, shelf, write):
    write("s.yaml", text.encode())
    assert "s.yaml" in fails(2, "sample", "-m", shelf["char-witten-bell.lm"], "-c", "s.yaml").stderr


WILD = (
    LONG, f"-{LONG}", "1e400", "1e308", "1e99999999999999999999", "99999999999999999999", "-1", "0", "nan", "inf",
    f"0x{'f' * 5000}", "1_0", f"1.{'0' * 5000}", "true", "null", "[1]", "{}",
)  # fmt: skip
FILES = {
    "entropy --counts {}": "a\t@\nb\t2\n", "entropy --probs {}": "@\n.5\n", "entropy --joint {}": "@ 1\n1 2\n",
    "eval regress --gold {} {}": "@\n2\n", "eval classify --gold {} {}": '{{"id": @, "label": @, "gold": @}}\n',
    "sample -m {model} --max-tokens 2 {}": '{{"id": @, "prompt": "a"}}\n', "calc softmax {}": "[1, @]\n",
    "calc entropy {}": "[0.5, @]\n", "calc layernorm {}": "[1, @]\n", "calc perplexity {}": "[-1, @]\n",
    "prompt fill --template [X] {}": '{{"text": @}}\n',
    "prompt extract --frames {} text.txt": '{{"a": {{"roles": [@]}}}}',
    "prompt extract --frames {}  text.txt": "a:\n  roles: [@]\n", "info {}": "\\data\\\nngram 1=@\n\n\\1-grams:\n",
    "w2v import {}": "2 @\na 1 2\nb 1 2\n", "w2v import --format glove {}": "a 1 @\nb 1 2\n",
    "bpe train --vocab-size 260 --from-counts {}": "the @\ncat 2\n", "bpe import {}": "YQ== @\nYg== 1\n",
    "sample -m {model} --max-tokens 2 --json-schema {}": '{{"type": "integer", "maximum": @}}',
    "ngram import {}": "the cat\t@\n", "eval answers --gold {} {}": "#### @\n",
}  # fmt: skip


@pytest.mark.few(3)
@pytest.mark.parametrize("command", FILES)
def test_numbers_in_files(command, lmkit, shelf, write):
    write("text.txt", b"a\n")
    for value in WILD:
        write("data", FILES[command].replace("{{", "{").replace("}}", "}").replace("@", value).encode())
        words = [word.format("data", model=shelf["char-witten-bell.lm"]) for word in command.split()]
        done = lmkit(*words)
        assert done.status in (0, 1, 2, 3, 4), (value[:30], done.stderr)
        assert not re.search("Traceback|a bug in lmkit", done.stderr)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (2, "w2v train --negatives @ text.txt"),
        (2, "w2v train --subwords 3-@ text.txt"),
        (2, "eval regress --field @ --gold text.txt text.txt"),
        (2, "ngram fit --prune 0,@ text.txt"),
        (2, "ngram fit --memory @G text.txt"),
        (2, "ppl -m {model} -m {model} --mix @,1 text.txt"),
        (2, "sample -m {model} --penalty-scope @"),
        (2, "train ffn --budget @ text.txt"),
    ],
)
def test_numbers_in_options_that_are_texts(status, words, fails, shelf, write):
    write("text.txt", b"1\t2\n")
    fails(status, *(word.format(model=shelf["char-witten-bell.lm"]).replace("@", LONG) for word in words.split()))


def test_numbers_in_the_environment(process, write):
    write("text.txt", b"a b\n")
    assert process("ngram", "count", "text.txt", env={"OMP_NUM_THREADS": LONG}).status == 0
