"""An experiment of examples/, run as a user would."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_one_checkpoint_is_judged_by_perplexity_and_at_a_task(work):
    """Row A20."""
    make = shutil.which("make")
    assert make is not None, "examples are driven by make"
    command = [make, "-f", ROOT / "examples" / "evaluation.mk", f"LMKIT={sys.executable} -m lmkit", f"OUT={work}/out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    before, _, after = done.stdout.partition("== extrinsic: ")
    (row,) = [line.split("\t") for line in before.splitlines() if "kind:ngram" in line]
    measured = dict(line.split("\t")[:2] for line in after.splitlines() if "eval:classify" in line)
    assert 50 < float(row[2]) < 500
    assert 0.8 < float(measured["accuracy"]) < 1
