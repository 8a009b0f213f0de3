"""When a process waits for input."""

import time
from pathlib import Path

HANG = 60  # seconds after which a process counts as hanging


def until_asleep(process):
    """Waits until a process waits for input.

    Python runs a handler between two steps of its own, so a signal that comes after the last of them and before the
    system call is seen only when that call ends, and it waits for input that the test will not send.
    """
    states = ""
    for _ in range(HANG * 100):
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        states = states[-1:] + stat.rpartition(")")[2].split()[0]
        if states == "SS":
            return
        time.sleep(0.01)
    raise AssertionError(f"the process never sleeps: {stat}")
