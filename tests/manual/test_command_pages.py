"""Tests of: __main__.py, command_tree.py, command_pages.py, roff.py: pages are up to date, well formed, and of use."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lmkit import command_table
from lmkit.errors import Status
from lmkit.manual import __main__ as manual
from lmkit.manual.command_pages import STATUSES
from lmkit.manual.command_tree import EXAMPLES
from lmkit.manual.roff import paragraphs

ROOT = Path(__file__).resolve().parents[2]
DIRECTORIES = ("man", "completions")


def test_files_are_what_is_generated(generated):
    on_disk = {
        str(path.relative_to(ROOT)) for name in DIRECTORIES for path in (ROOT / name).rglob("*") if path.is_file()
    }
    assert on_disk == set(generated), "run `make docs`"
    stale = [name for name, text in generated.items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_command_and_group_has_a_page(generated):
    for name in ["", *command_table.GROUPS, *command_table.COMMANDS]:
        text = generated["man/man1/" + "-".join(["lmkit", *name.split()]) + ".1"]
        assert all(f"\n.SH {title}\n" in text for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"))


def test_examples_of_the_overview_run(shell):
    done = shell(f"set -e; {EXAMPLES}")
    assert done.status == 0, done.stderr
    assert "perplexity" in done.text


def test_overview_lists_every_status():
    assert list(STATUSES) == list(Status)


def test_options_show_their_defaults(nodes):
    notes = {option.spellings[-1]: option.notes for option in nodes["sample"].options}
    assert notes["--top-k"] == "At least 0 and at most 2147483647. Default: `0`."
    assert notes["--json"] == notes["--help"] == notes["--prompt"] == ""


def test_pages_lint(generated, tmp_path):
    if shutil.which("mandoc") is None:
        return
    for name, text in generated.items():
        if name.startswith("man/"):
            (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    pages = sorted(tmp_path.glob("lmkit*"))
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_pages_name_only_pages_that_exist(generated):
    for text in generated.values():
        for name, section in re.findall(r"^\.BR (lmkit\S*) \(([17])\)", text, flags=re.MULTILINE):
            assert f"man/man{section}/" + name.replace("\\-", "-") + f".{section}" in generated


def test_page_shows_text_as_written():
    text = "Uses `\\n`, it's\n.TH at a line's start \u2192 and --no-eos.\n\nForms:\n  a\\b  it's `x`\n    -c\n\n"
    text += "- one\n- two"
    assert list(paragraphs(text)) == [
        "Uses \\fB\\en\\fR, it's\n\\&.TH at a line's start \\[u2192] and \\fB\\-\\-no\\-eos\\fR.",
        ".PP", "Forms:", ".RS 4", ".EX", "a\\eb  it\\(aqs \\(gax\\(ga\n  \\-c", ".EE", ".RE",
        ".PP", ".RS 4", ".EX", "\\- one\n\\- two", ".EE", ".RE",
    ]  # fmt: skip


@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_command_has_a_help_for_each_parameter(nodes, name):
    assert nodes[name].text
    assert all(parameter.help for parameter in [*nodes[name].options, *nodes[name].arguments])


@pytest.mark.parametrize("name", ["", *command_table.COMMANDS])
def test_examples_are_of_commands_and_options_that_exist(nodes, spellings, name):
    examples = nodes[name].examples.replace("\\\n", " ")
    assert re.search(r"\blmkit\b", examples)
    for line in examples.splitlines():
        for words in calls(line):
            words = words[words.index("lmkit") + 1 :]
            command = command_table.typed_command(words)
            assert command is not None, line
            options = {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}
            assert options <= spellings(nodes[command]), line


def calls(line):
    """The calls of lmkit in a line of shell, as words."""
    words = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split = True
    found = [[]]
    for word in words:
        if set(word) & set("();|&") and set(word) <= set("();<>|&"):
            found.append([])
        else:
            found[-1].append(word)
    return [call for call in found if "lmkit" in call]


def test_writing_removes_only_generated_pages(tmp_path, monkeypatch):
    tmp_path = tmp_path / "root"
    tmp_path.mkdir()
    monkeypatch.setattr(manual, "__file__", str(tmp_path / "lmkit" / "manual" / "__main__.py"))
    monkeypatch.setattr(manual, "generate", lambda _root: {"man/man1/lmkit.1": "new"})
    with pytest.raises(SystemExit, match=r"no pyproject\.toml"):
        manual.main()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "pyproject.toml").touch()
    pages = tmp_path / "man" / "man1"
    pages.mkdir(parents=True)
    (pages / "lmkit-gone.1").write_text(f'.\\" {manual.MARK}\n')
    (pages / "by-hand.1").write_text("kept")
    manual.main()
    assert sorted(path.name for path in pages.iterdir()) == ["by-hand.1", "lmkit.1"]
