"""The command table, the parser and the outer edge."""

import errno
import re
import signal
import subprocess
import sys

import click
import pytest

from lmkit import __version__, cli, command_table
from lmkit.errors import (
    CheckpointError,
    DataError,
    LmkitError,
    MissingError,
    OutputError,
    Status,
    Stopped,
    UsageError,
)

# The parser.


def test_only_the_typed_command_brings_its_options():
    parser = cli.build(["ppl"])
    assert len(parser.commands["ppl"].params) > 10
    assert len(parser.commands["score"].params) <= 1
    assert set(parser.commands) == {*(name.split()[0] for name in command_table.COMMANDS), *command_table.BUILT_IN}


# How a command ends.


@pytest.fixture
def raising(monkeypatch, lmkit):
    """What comes of a command that fails with an error."""

    def raising(error, *more):
        def fail(run):
            raise error

        fail.__doc__ = "Fails."
        monkeypatch.setattr(cli, "function_of", lambda name: fail)
        return lmkit("ppl", *more)

    return raising


@pytest.mark.parametrize(
    ("kind", "status"),
    [(OutputError, 74), (UsageError, 2), (DataError, 3), (CheckpointError, 4), (MissingError, 69), (LmkitError, 70)],
)
def test_failures_that_were_foreseen(kind, status, raising):
    done = raising(kind("what went wrong"))
    assert (done.status, done.stdout, done.stderr) == (status, b"", "lmkit ppl: what went wrong\n")
    done = raising(kind("what went wrong", hint="do this"))
    assert (done.status, done.stderr) == (status, "lmkit ppl: what went wrong\n  hint: do this\n")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError(), 74, "out of memory"),
        (MemoryError("Unable to allocate 1 EiB"), 74, "out of memory (Unable to allocate 1 EiB)"),
        (RecursionError("x"), 3, "nested too deeply"),
        (OSError(errno.ENOSPC, "No space left on device"), 74, "No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "file"), 74, "file: Permission denied"),
        (OSError("odd"), 74, "odd"),
    ],
)  # fmt: skip
def test_failures_of_the_system(error, status, message, raising):
    done = raising(error)
    assert (done.status, done.stdout) == (status, b"")
    assert done.stderr.startswith(f"lmkit ppl: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ValueError("odd"), KeyError("x"), AssertionError("no"), ZeroDivisionError(), Exception("a\nb")]
)
def test_bugs_are_called_bugs(error, raising, one_line):
    done = raising(error)
    assert done.status == Status.BUG == 70
    one_line(done.stderr)
    assert f"a bug in lmkit {__version__}: {type(error).__name__}" in done.stderr
    assert "(test_cli.py:" in done.stderr
    assert "--debug" in done.stderr


@pytest.mark.parametrize("error", [DataError("x"), ValueError("x"), OSError(5, "x"), MemoryError()])
def test_tracebacks_come_when_asked_for(error, raising, monkeypatch):
    with pytest.raises(type(error)):
        raising(error, "--debug")
    monkeypatch.setenv("LMKIT_DEBUG", "1")
    with pytest.raises(type(error)):
        raising(error)


def test_signals_are_caught_by_the_very_edge_only(raising):
    with pytest.raises(Stopped):
        raising(Stopped(Status.INTERRUPTED))
    assert not issubclass(Stopped, Exception)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, 0), (DataError("x"), 3), (Stopped(Status.TERMINATED), 143), (Stopped(Status.INTERRUPTED), 130)],
)
def test_main_ends_the_process(error, status, monkeypatch):
    def run(words):
        if error is not None:
            if isinstance(error, Stopped):
                raise error
            return error.status
        return 0

    monkeypatch.setattr(cli, "run", run)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["ppl"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == status


def test_main_takes_the_words_of_the_command_line(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "run", lambda words: seen.append(words) or 0)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["lmkit", "a", "b"])
    with pytest.raises(SystemExit):
        cli.main()
    assert seen == [["a", "b"]]


def test_an_interrupt_while_loading_is_quiet(clean):
    program = """
import runpy, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "lmkit.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
runpy.run_module("lmkit", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (Status.INTERRUPTED, b"", b"")


# Usage.


def test_nothing_typed_shows_help_on_stderr(lmkit):
    done = lmkit()
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("Usage: lmkit")


def test_help_of_all(lmkit):
    text = lmkit("--help").text
    for name in command_table.COMMANDS:
        assert name.split()[0] in text
    for group in command_table.GROUPS:
        shown = lmkit(group, "--help").text
        for name in command_table.COMMANDS:
            if name.startswith(group + " "):
                assert command_table.COMMANDS[name].summary.split(",")[0][:30] in " ".join(shown.split())


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["--version", "ppl"]])
def test_version(words, lmkit):
    done = lmkit(*words)
    assert (done.status, done.text, done.stderr) == (0, f"lmkit {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [(["pppl"], "ppl"), (["socre"], "score"), (["ngrm"], "ngram"), (["ngram", "fitt"], "fit"),
     (["ngram", "querry"], "query"),
     (["ppl", "--modle", "x"], "--model"), (["ngram", "fit", "--smoothin", "x"], "--smoothing"),
     (["sample", "--temprature", "1"], "--temperature"),
     (["ngram", "fit", "--tokens", "word", "--min-cuont", "3"], "--min-count")],
)  # fmt: skip
def test_misspelled_words_are_refused_with_a_suggestion(words, suggestion, lmkit):
    done = lmkit(*words)
    assert (done.status, done.stdout) == (2, b"")
    assert re.search(rf"(?<![\w-]){suggestion}\b", done.stderr.partition(":")[2])


USAGE = [
    ["nonsense"], ["pppl"], ["ngram", "nonsense"], ["ppl", "--nonsense"], ["ppl", "--modle", "x"],
    ["ppl", "-m"], ["ppl", "-Z"],
    ["ngram", "fit", "--order", "x"], ["ngram", "fit", "--order", "99"], ["ngram", "fit", "--smoothing", "good"],
    ["data", "text"],
    ["data", "text", "bible"], ["ngram", "coverage", "a"], ["next", "extra"], ["next", "-t", "-1"], ["--nonsense"],
]  # fmt: skip


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_usage_errors_have_their_status(words, lmkit):
    done = lmkit(*words)
    assert (done.status, done.stdout) == (2, b"")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_usage_errors_are_one_line(words, lmkit, one_line):
    """Like every other error: the program, what is wrong, and a hint at most."""
    one_line(lmkit(*words).stderr)


@pytest.mark.parametrize(
    "words",
    [["ppl", "-m", "none.lm", "-"], ["next", "-m", "none.lm"], ["ngram", "fit", "none.txt"], ["score", "-m", "-", "-"]],
)
def test_options_that_are_typed_twice_or_late(words, lmkit, fails):
    """`--quiet` and `--verbose` change nothing about errors."""
    plain = lmkit(*words)
    for option in ("-q", "-v", "--quiet", "--verbose"):
        assert fails(plain.status, *words, option).stderr == plain.stderr


def test_a_double_dash_ends_options(lmkit, write):
    write("-m", b"the cat\n")
    lmkit("ngram", "fit", "-q", "--order", "1", "--smoothing", "wb", "-o", "m.lm", "--", "-m")
    done = lmkit("ppl", "-b", "-m", "m.lm", "--", "-m")
    assert done.status == 0
    assert lmkit("ppl", "-b", "-m", "m.lm", "./-m").stdout == done.stdout


@pytest.mark.parametrize("words", [["ngram", "fit", "--ord", "3"], ["ppl", "--mod", "x"]])
def test_options_are_not_abbreviated(words, lmkit):
    assert lmkit(*words).status == 2


def test_options_and_values_in_one_word(lmkit):
    plain = lmkit("scaling", "plan", "--ngram", "--vocab", "5", "--max-order", "2")
    assert lmkit("scaling", "plan", "--ngram", "--vocab=5", "--max-order=2").stdout == plain.stdout != b""


def test_help_fits_a_terminal(lmkit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in command_table.COMMANDS:
        for line in click.unstyle(lmkit(*name.split(), "--help").text).splitlines():
            assert len(line) <= 110, line


@pytest.mark.parametrize("name", ["ppl", "ngram fit", "ngram", ""])
def test_help_is_a_command_too(name, lmkit):
    assert lmkit("help", *name.split()) == lmkit(*name.split(), "--help")


def test_help_of_what_is_no_command(fails):
    assert "No such command 'ppll'" in fails(2, "help", "ppll").stderr


def test_version_is_a_command_too(lmkit):
    assert lmkit("version") == lmkit("--version")


@pytest.mark.parametrize("group", command_table.GROUPS)
def test_a_group_alone_lists_its_commands(group, lmkit):
    assert lmkit(group) == lmkit(group, "--help")


@pytest.mark.parametrize(
    ("typed", "meant"), [("--temp", "--temperature"), ("--topp", "--top-p"), ("--stops", "--stop"), ("--zzz", None)]
)
def test_an_unknown_option_suggests_those_that_are_near(typed, meant, fails):
    message = fails(2, "sample", typed, "1").stderr.splitlines()[0]
    assert message.startswith(f"lmkit sample: No such option: {typed}")
    assert (f"did you mean {meant}" in message) == (meant is not None)
