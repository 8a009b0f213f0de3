"""The campaign of faults in its short form, and the faults themselves."""

import random
import subprocess
import sys
from pathlib import Path

import campaign
import pytest

SCRIPT = Path(campaign.__file__)


def test_damage_changes_bytes_and_repeats():
    good = bytes(range(256)) * 8
    first, again = ([campaign.damaged(good, random.Random(seed)) for seed in range(100)] for _ in range(2))
    assert first == again
    assert sum(bad != good for bad in first) > 95
    assert len({len(bad) for bad in first}) > 20


def test_what_is_wrong_is_noticed():
    assert campaign.complaint(3, "lmkit ppl: x\n") is None
    assert "status 70" in campaign.complaint(70, "lmkit ppl: a bug\n")
    assert "status -9" in campaign.complaint(-9, "")
    assert "a traceback" in campaign.complaint(3, "Traceback (most recent call last):\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind.__name__ for kind in campaign.KINDS])
def test_a_small_campaign(kind):
    done = subprocess.run(
        [sys.executable, SCRIPT, kind, "--share", "0.02"], capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == 0, done.stdout + done.stderr
