"""Manual pages and completions: up to date, well formed, and of use."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lmkit import cli, manual
from lmkit.errors import Status

ROOT = Path(__file__).resolve().parent.parent
DIRECTORIES = ("man", "completions")


@pytest.fixture(scope="module")
def generated():
    return manual.generate()


@pytest.fixture(scope="module")
def nodes():
    return {node.name: node for node in manual._nodes()}


def spellings(node):
    return {spelling for option in node.options for spelling in option.spellings}


def test_files_are_what_is_generated(generated):
    on_disk = {str(path.relative_to(ROOT)) for name in DIRECTORIES for path in (ROOT / name).iterdir()}
    assert on_disk == set(generated), "run `make docs`"
    stale = [name for name, text in generated.items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_command_and_group_has_a_page(generated):
    for name in ["", *cli.GROUPS, *cli.COMMANDS]:
        text = generated["man/" + "-".join(["lmkit", *name.split()]) + ".1"]
        assert all(f"\n.SH {title}\n" in text for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"))


def test_overview_lists_every_status():
    assert list(manual.STATUSES) == list(Status)


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
    pages = sorted(tmp_path.glob("*.1"))
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_pages_name_only_pages_that_exist(generated):
    for text in generated.values():
        for name in re.findall(r"^\.BR (lmkit\S*) \(1\)", text, flags=re.MULTILINE):
            assert "man/" + name.replace("\\-", "-") + ".1" in generated


def test_page_shows_text_as_written():
    text = "Uses `\\n`, it's\n.TH at a line's start \u2192 and --no-eos.\n\nForms:\n  a\\b  it's `x`\n    -c\n\n"
    text += "- one\n- two"
    assert list(manual._paragraphs(text)) == [
        "Uses \\fB\\en\\fR, it's\n\\&.TH at a line's start \\[u2192] and \\fB\\-\\-no\\-eos\\fR.",
        ".PP", "Forms:", ".RS 4", ".EX", "a\\eb  it\\(aqs \\(gax\\(ga\n  \\-c", ".EE", ".RE",
        ".PP", ".RS 4", ".EX", "\\- one\n\\- two", ".EE", ".RE",
    ]  # fmt: skip


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_has_a_help_for_each_parameter(nodes, name):
    assert nodes[name].text
    assert all(parameter.help for parameter in [*nodes[name].options, *nodes[name].arguments])


@pytest.mark.parametrize("name", ["", *cli.COMMANDS])
def test_examples_are_of_commands_and_options_that_exist(nodes, name):
    examples = nodes[name].examples.replace("\\\n", " ")
    assert re.search(r"\blmkit\b", examples)
    for line in examples.splitlines():
        for words in calls(line):
            words = words[words.index("lmkit") + 1 :]
            command = cli.typed_command(words)
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


def test_bash_script_parses(generated):
    subprocess.run(["bash", "-n"], input=generated["completions/lmkit.bash"], text=True, check=True)


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_lmkit"), ("fish", "lmkit.fish")])
def test_other_scripts_parse(generated, tmp_path, shell, name):
    if shutil.which(shell) is None:
        return
    (tmp_path / name).write_text(generated[f"completions/{name}"], encoding="utf-8")
    subprocess.run([shell, "-n", tmp_path / name], check=True)


@pytest.mark.parametrize("name", ["lmkit.bash", "_lmkit", "lmkit.fish"])
def test_scripts_start_nothing(generated, name):
    lines = generated[f"completions/{name}"].splitlines()
    assert not any(re.search(r"\bpython(?!-docs)", line) and not line.startswith("#") for line in lines)
    assert not any(re.search(r"\$\(\s*lmkit|`lmkit", line) for line in lines)


@pytest.fixture(scope="module")
def complete(generated):
    """What bash offers for words typed so far, the last one unfinished."""

    def offered(*words):
        script = 'shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lmkit; printf "%s\\n" "${COMPREPLY[@]}"'
        command = ["bash", "-c", f"{generated['completions/lmkit.bash']}\n{script}", "bash", "", "lmkit", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return offered


def test_bash_completes_commands(complete):
    assert complete("") == [*dict.fromkeys(name.split()[0] for name in cli.COMMANDS)]
    assert complete("ngram", "") == [name.split()[1] for name in cli.COMMANDS if name.startswith("ngram ")]
    assert complete("ngram", "m") == ["merge", "mix"]
    assert complete("--v") == ["--version"]
    assert complete("nonsense", "") == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_bash_completes_every_option(complete, nodes, name):
    assert set(complete(*name.split(), "-")) == spellings(nodes[name])


def test_bash_completes_values(complete):
    assert complete("ngram", "fit", "--tokens", "") == ["word", "char", "byte"]
    assert complete("ngram", "fit", "a.txt", "--tokens", "c") == ["char"]
    assert complete("ngram", "fit", "--tokens", "=") == ["word", "char", "byte"]
    assert complete("ngram", "fit", "--tokens", "=", "b") == ["byte"]


def test_bash_leaves_file_names_to_the_shell(complete):
    for words in (["ngram", "fit", ""], ["ppl", "-m", ""], ["ppl", "--", "-"]):
        assert complete(*words) == []


def test_fish_completes(generated, tmp_path):
    if shutil.which("fish") is None:
        return
    (tmp_path / "lmkit.fish").write_text(generated["completions/lmkit.fish"], encoding="utf-8")

    def offered(line):
        command = ["fish", "-N", "-c", f"source lmkit.fish; complete -C {shlex.quote(line)}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    assert offered("lmkit ngram m") == ["merge", "mix"]
    assert sorted(offered("lmkit ngram fit --tokens ")) == ["byte", "char", "word"]
    assert offered("lmkit ngram fit --ord") == ["--order"]
    assert offered("lmkit ngram fit lm") == ["lmkit.fish"]
    assert offered("lmkit ngram fit --order ") == []


def test_writing_removes_only_generated_pages(tmp_path, monkeypatch):
    tmp_path = tmp_path / "root"
    tmp_path.mkdir()
    monkeypatch.setattr(manual, "__file__", str(tmp_path / "lmkit" / "manual.py"))
    monkeypatch.setattr(manual, "generate", lambda: {"man/lmkit.1": "new"})
    with pytest.raises(SystemExit, match=r"no pyproject\.toml"):
        manual.main()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "lmkit-gone.1").write_text(f'.\\" {manual.MARK}\n')
    (tmp_path / "man" / "by-hand.1").write_text("kept")
    manual.main()
    assert sorted(path.name for path in (tmp_path / "man").iterdir()) == ["by-hand.1", "lmkit.1"]
