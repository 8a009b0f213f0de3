"""The console blocks of README.md and docs/, run as a user would and compared with what they show."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = (
    "lmkit-data", "lmkit-errata", "lmkit-evaluation", "lmkit-finetuning", "lmkit-neural", "lmkit-ngrams",
    "lmkit-prompting", "lmkit-sampling", "lmkit-scaling", "lmkit-tokens", "lmkit-word-vectors",
)  # fmt: skip
"""Pages whose commands take long."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def steps(text):
    """Commands and the output shown under each."""
    for block in CONSOLE.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


@pytest.fixture
def run(tmp_path):
    """Runs a script in bash, in an empty folder, with this lmkit as `lmkit`."""
    shim = tmp_path / "bin" / "lmkit"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lmkit "$@"\n')
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    work = tmp_path / "folder"
    work.mkdir()
    return lambda script, *options: subprocess.run(
        ["bash", "-e", *options, "-c", script], cwd=work, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page.stem in LONG else page for page in PAGES],
    ids=lambda page: page.stem,
)
def test_a_page_shows_what_happens(page, run):
    for command, shown in steps(page.read_text()):
        done = run(command, "-o", "pipefail")
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout == shown, command
        assert done.stderr == "", command


def test_there_are_pages_with_commands():
    assert sum(len(list(steps(page.read_text()))) for page in PAGES) >= 100


@pytest.mark.parametrize("lines", [400, pytest.param(None, marks=pytest.mark.slow)], ids=["part", "whole"])
def test_the_tour_runs(lines, run):
    (script,) = SCRIPT.findall((ROOT / "README.md").read_text())
    assert script.startswith("lmkit data text python-docs -o docs.txt\n")
    if lines:
        script = script.replace("\n", f"; head -n {lines} docs.txt > part.txt; mv part.txt docs.txt\n", 1)
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 20
