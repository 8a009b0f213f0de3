"""Completions parse, start nothing, and offer what there is."""

import re
import shlex
import shutil
import subprocess

import pytest

from lmkit import cli, command_table


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


@pytest.fixture(scope="session")
def complete(generated):
    """What bash offers for words typed so far, the last one unfinished."""

    def offered(*words):
        script = 'shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lmkit; printf "%s\\n" "${COMPREPLY[@]}"'
        command = ["bash", "-c", f"{generated['completions/lmkit.bash']}\n{script}", "bash", "", "lmkit", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return offered


def test_bash_completes_commands(complete):
    assert complete("") == [*cli.build([]).commands]
    assert complete("ngram", "") == [name.split()[1] for name in command_table.COMMANDS if name.startswith("ngram ")]
    assert complete("ngram", "m") == ["merge", "mix"]
    assert complete("--v") == ["--version"]
    assert complete("nonsense", "") == []


@pytest.mark.few(40)
@pytest.mark.parametrize("name", command_table.COMMANDS)
def test_bash_completes_every_option(complete, nodes, spellings, name):
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
