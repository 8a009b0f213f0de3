"""The README's console blocks, run as a user would and compared with what they show."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def steps(text):
    """Commands and the output shown under each."""
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def test_readme_shows_what_happens(tmp_path):
    shim = tmp_path / "bin" / "lmkit"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lmkit "$@"\n')
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    work = tmp_path / "readme"
    work.mkdir()
    count = 0
    for command, shown in steps((ROOT / "README.md").read_text()):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=work, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout == shown, command
        assert done.stderr == "", command
        count += 1
    assert count >= 10
