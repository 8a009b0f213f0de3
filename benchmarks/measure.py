"""Runs commands in turn, several times, and reports medians of CPU time, wall time and peak memory."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field


@dataclass
class Contestant:
    name: str
    command: str  # for /bin/sh
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    output: str = ""

    def run(self) -> None:
        begun = time.perf_counter()
        process = subprocess.Popen(["/bin/sh", "-c", self.command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.name}: status {process.returncode}: {self.command}")
        self.wall.append(time.perf_counter() - begun)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak.append(usage.ru_maxrss / 1024)


def compare(title: str, contestants: list[Contestant], rounds: int) -> None:
    """Interleaves the rounds and prints a table; ratios are the reference's over the row's, by medians."""
    for _ in range(rounds):
        for contestant in contestants:
            contestant.run()
    reference = contestants[0]
    print(f"\n{title}")
    print(f"{'':34}{'CPU s':>9}{'ratio':>8}{'wall s':>9}{'ratio':>8}{'peak MB':>9}")
    for one in contestants:
        cpu, wall, peak = (statistics.median(values) for values in (one.cpu, one.wall, one.peak))
        ratios = [statistics.median(a) / b for a, b in ((reference.cpu, cpu), (reference.wall, wall))]
        print(f"{one.name:34}{cpu:9.2f}{ratios[0]:8.2f}{wall:9.2f}{ratios[1]:8.2f}{peak:9.0f}", flush=True)
