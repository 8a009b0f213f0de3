"""The campaign of faults: `make faults`. Prints a row for each kind of fault: how many were tried, and what broke.

    python tests/faults/campaign.py                    the whole of it, about an hour
    python tests/faults/campaign.py --share 0.01       a hundredth
    python tests/faults/campaign.py kills damage       some of its kinds

Every fault is drawn from the seed, so that a failure can be repeated; those that fail are kept in --keep FOLDER.
"""

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/architectures"), str(Path(__file__).parent)]

from cases import FOREIGN, READERS, WRITERS  # noqa: E402

OLD = ROOT / "tests/compatibility/0.1"
HANG = 60  # seconds
MEMORY = 4 << 30
ENDS = (0, 1, 2, 3, 4, 69, 74)
"""Statuses with which a command may answer bad input."""


@dataclass
class Campaign:
    """A folder of good files, a source of faults, and what broke so far."""

    work: Path
    seed: int
    share: float
    keep: Path | None = None
    broken: list[str] = field(default_factory=list)

    def count(self, number: int) -> int:
        """How many of a number of faults are tried."""
        return max(1, round(number * self.share))

    def draws(self, name: str) -> random.Random:
        """Random numbers of a kind of fault and a case."""
        return random.Random(f"{self.seed} {name}")

    def broke(self, what: str, damaged: bytes | None = None) -> None:
        """Notes a failure, and the file that made it."""
        self.broken.append(what)
        if self.keep is not None and damaged is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{len(self.broken)}").write_bytes(damaged)


# Running.


def start(line: str, folder: Path, **more: object) -> subprocess.Popen[bytes]:
    """A command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(
        [sys.executable, "-m", "lmkit", *line.split()],
        cwd=folder,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


def finish(running: subprocess.Popen[bytes]) -> tuple[int, str]:
    """A command's status and messages; a hang is status 999."""
    try:
        _, err = running.communicate(timeout=HANG)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        return 999, "it hangs"
    return running.returncode, (err or b"").decode(errors="replace")


def complaint(status: int, err: str, statuses: tuple[int, ...] = ENDS) -> str | None:
    """What is wrong with how a command ended; None if nothing is."""
    if status not in statuses:
        return f"status {status}: {err.strip()[-200:]}"
    if "Traceback" in err:
        return f"a traceback: {err.strip()[-200:]}"
    return None


def forked(line: str, folder: Path) -> tuple[int, str]:
    """A command in a fork of this process, which has imported it, under limits of time and memory."""
    from lmkit import cli

    with tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(folder)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(HANG)
            os._exit(_status(cli.run, line))
        _, ended = os.waitpid(child, 0)
        err.seek(0)
        return os.waitstatus_to_exitcode(ended), err.read().decode(errors="replace")


def _status(run: Callable[[list[str]], int], line: str) -> int:
    try:
        status = int(run(line.split()))
        sys.stderr.flush()
        return status
    except BaseException as error:  # the child must end here
        print(f"Traceback: {error!r}", file=sys.stderr, flush=True)
        return 99


# Kinds of faults: each yields once for each fault that it tried.


def kills(campaign: Campaign) -> Iterator[None]:
    """SIGKILL at any moment: the output is absent or whole, and the same command then gives it."""
    for name, command in WRITERS.items():
        draws, seconds, whole = campaign.draws(name), *_whole(campaign, command)
        for _ in range(campaign.count(50)):
            out = _empty(campaign)
            running = start(command.format(out="out/file"), campaign.work)
            time.sleep(draws.uniform(0, seconds))
            running.kill()
            finish(running)
            if out.exists() and out.read_bytes() != whole:
                campaign.broke(f"{name}: a part of the output under its name")
            if out.exists() and "--resume" in command:  # the run had ended
                yield
                continue
            status, err = finish(start(command.format(out="out/file"), campaign.work))
            if status or out.read_bytes() != whole:
                campaign.broke(f"{name}: after a kill: status {status}, {err.strip()[-200:]}")
            yield


def signals(campaign: Campaign) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP at any moment: the status says so, nothing half-written is left."""
    for name, command in WRITERS.items():
        draws, seconds, whole = campaign.draws(f"signals {name}"), *_whole(campaign, command)
        for number in campaign.count(10) * (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            out = _empty(campaign)
            running = start(command.format(out="out/file"), campaign.work)
            time.sleep(draws.uniform(0.2, 0.2 + seconds))  # before, Python itself is starting
            running.send_signal(number)
            status, err = finish(running)
            expected = 130 if number == signal.SIGINT else 143
            wrong = complaint(status, err, (0, expected, -number))
            if wrong:
                campaign.broke(f"{name}: {number.name}: {wrong}")
            left = {file.name for file in out.parent.iterdir()} - {"file", "file.state"}
            if left or (out.exists() and out.read_bytes() != whole):
                campaign.broke(f"{name}: {number.name}: left {sorted(left) or 'a part of the output'}")
            yield


def full_disks(campaign: Campaign) -> Iterator[None]:
    """A limit on the size of files, at any size: status 74, and the output before is untouched."""
    for name, command in WRITERS.items():
        draws, (_, whole) = campaign.draws(f"disks {name}"), _whole(campaign, command)
        for _ in range(campaign.count(20)):
            out = _empty(campaign)
            out.write_bytes(b"before")
            limit = draws.randrange(max(1, len(whole) - 1))

            def limited(limit: int = limit) -> None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

            line = command.replace("--resume", "--restart").format(out="out/file")
            wrong = complaint(*finish(start(line, campaign.work, preexec_fn=limited)), (74, 69))
            if wrong:
                campaign.broke(f"{name}: a full disk at {limit} bytes: {wrong}")
            elif out.read_bytes() != b"before":
                campaign.broke(f"{name}: a full disk cost the file before")
            yield


def closed_streams(campaign: Campaign) -> Iterator[None]:
    """Standard streams that are closed, full or have no reader: one line at most, no traceback."""
    lines = [*READERS.items(), ("", "--help"), ("", "info transformer.lm")]
    for file, command in lines:
        line = command.format(file=file)
        for redirection in (">&-", "2>&-", "<&-", ">/dev/full", "2>/dev/full", "| head -c 1"):
            script = f"cd {campaign.work}; set -o pipefail; {sys.executable} -m lmkit {line} {redirection}"
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            running = subprocess.Popen(["bash", "-c", script], stderr=-1, stdout=-1, stdin=-1, env=environment)
            wrong = complaint(*finish(running), (*ENDS, 141))
            if wrong:
                campaign.broke(f"{line} {redirection}: {wrong}")
            yield


def little_memory(campaign: Campaign) -> Iterator[None]:
    """`ulimit -v` at any size: an answer, or one line."""
    for file, command in READERS.items():
        draws = campaign.draws(f"memory {file}")
        for _ in range(campaign.count(10)):
            limit = draws.randrange(120 << 20, 900 << 20)

            def limited(limit: int = limit) -> None:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

            line = command.format(file=file)
            status, err = finish(start(line, campaign.work, preexec_fn=limited))
            if status not in (*ENDS, 70, 1, 127, -6, -11) or ("Traceback" in err and "lmkit/commands" in err):
                campaign.broke(f"{line} with {limit >> 20} MB: status {status}: {err.strip()[-200:]}")
            yield


def racing_writers(campaign: Campaign) -> Iterator[None]:
    """Fifteen processes that write one file at once: the file is whole."""
    for name, command in WRITERS.items():
        if "--resume" in command:
            continue
        _, whole = _whole(campaign, command)
        for _ in range(campaign.count(2)):
            out = _empty(campaign)
            racing = [start(command.format(out="out/file"), campaign.work) for _ in range(15)]
            statuses = {finish(running)[0] for running in racing}
            if statuses != {0} or out.read_bytes() != whole or len(list(out.parent.iterdir())) != 1:
                campaign.broke(f"{name}: fifteen writers: statuses {sorted(statuses)}")
            yield


def damage(campaign: Campaign) -> Iterator[None]:
    """Damaged checkpoints of every kind: refused in one line, or answered from as far as they are whole."""
    for file, command in READERS.items():
        yield from _damaged(campaign, file, command, campaign.count(10_000) // len(READERS) + 1)


def foreign(campaign: Campaign) -> Iterator[None]:
    """Damaged files of other tools and of users, each format as often."""
    for file, (_, command) in FOREIGN.items():
        if (campaign.work / file).exists():
            yield from _damaged(campaign, file, command, campaign.count(2000))
        else:
            print(f"{file}: not made, for want of a library", file=sys.stderr)


KINDS = (kills, signals, full_disks, closed_streams, little_memory, racing_writers, damage, foreign)


# Their parts.


def _damaged(campaign: Campaign, file: str, command: str, count: int) -> Iterator[None]:
    """A file with bytes changed, lost, added or moved."""
    place = campaign.work / file
    good = place.read_bytes()
    draws = campaign.draws(file)
    line = command.format(file=file)
    try:
        for _ in range(count):
            bad = damaged(good, draws)
            place.write_bytes(bad)
            wrong = complaint(*forked(line, campaign.work))
            if wrong:
                campaign.broke(f"{line}: {wrong}", bad)
            yield
    finally:
        place.write_bytes(good)


def damaged(good: bytes, draws: random.Random) -> bytes:
    """Bytes with a fault: half of them in the first part, where headers are."""
    bad = bytearray(good)
    end = len(bad) if draws.random() < 0.5 else min(len(bad), 400)
    for _ in range(draws.choice((1, 1, 1, 2, 5))):
        place = draws.randrange(max(1, end))
        match draws.randrange(7):
            case 0:
                bad[place : place + 1] = bytes([draws.randrange(256)])
            case 1:
                bad[place:] = b""
            case 2:
                bad[place : place + draws.randrange(1, 40)] = b""
            case 3:
                bad[place:place] = draws.randbytes(draws.randrange(1, 40))
            case 4:
                bad[place : place + 8] = draws.choice((0, 1, (1 << 31) - 1, (1 << 63) - 1, 1 << 40)).to_bytes(
                    8, "little"
                )
            case 5:
                begin = draws.randrange(max(1, len(good)))
                bad[place:place] = good[begin : begin + draws.randrange(1, 200)]
            case _:
                word = draws.choice(
                    (b"-1", b"1e999", b"NaN", b"99999999999999999999", b'"', b"{}", b"[]", b"null", b"\n")
                )
                bad[place : place + len(word)] = word
    return bytes(bad)


def _empty(campaign: Campaign) -> Path:
    """The output's place, in a folder with nothing in it."""
    folder = campaign.work / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder / "file"


def _whole(campaign: Campaign, command: str) -> tuple[float, bytes]:
    """The seconds that a command takes, and its output."""
    out = _empty(campaign)
    begin = time.monotonic()
    status, err = finish(start(command.format(out="out/file"), campaign.work))
    if status:
        raise SystemExit(f"{command}: status {status}: {err}")
    return time.monotonic() - begin, out.read_bytes()


def prepare(work: Path) -> None:
    """Good files in a folder."""
    for file in OLD.iterdir():
        shutil.copy(file, work)
    status, err = forked("data text python-docs -o docs.txt", work)
    if status:
        raise SystemExit(err)
    (work / "short.txt").write_bytes((work / "text.txt").read_bytes())
    (work / "text.txt").write_text("".join((work / "docs.txt").read_text().splitlines(keepends=True)[:300]))
    (work / "conversations.jsonl").write_text('{"messages": [{"role": "user", "content": "hello"}]}\n')
    rows = (work / "labelled.tsv").read_text().splitlines()
    (work / "labelled.csv").write_text(
        "text,label\n" + "".join(f'"{row.replace(chr(9), chr(34) + ",")}\n' for row in rows)
    )
    (work / "settings.yaml").write_text("order: 2\nsmoothing: witten-bell\ntokens: word\nvocab: null\n")
    (work / "template.txt").write_text("A text: [X]\nIts label: [Z]")
    for name, (made, _) in FOREIGN.items():
        line = made.format(file=name)
        if made and (ended := forked(line, work))[0]:
            raise SystemExit(f"{line}: {ended[1]}")
    with contextlib.suppress(ImportError):
        import sentencepiece

        sentencepiece.SentencePieceTrainer.train(
            input=str(work / "text.txt"), model_prefix=str(work / "sentencepiece"), vocab_size=200, minloglevel=2
        )
    with contextlib.suppress(ImportError):
        import test_gguf

        test_gguf.write(work / "model.gguf")


def main() -> None:
    """Exits with 1 if anything broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=", ".join(kind.__name__ for kind in KINDS))
    parser.add_argument("--share", type=float, default=1.0, help="share of the faults that is tried")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for damaged files that broke something")
    asked = parser.parse_args()
    unknown = set(asked.kinds) - {kind.__name__ for kind in KINDS}
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), asked.seed, asked.share, asked.keep)
        prepare(campaign.work)
        print("faults\ttried\tbroke\tseconds", flush=True)
        for kind in KINDS:
            if asked.kinds and kind.__name__ not in asked.kinds:
                continue
            before, begin = len(campaign.broken), time.monotonic()
            tried = sum(1 for _ in kind(campaign))
            seconds = time.monotonic() - begin
            print(f"{kind.__name__}\t{tried}\t{len(campaign.broken) - before}\t{seconds:.0f}", flush=True)
    for what in campaign.broken:
        print(what)
    sys.exit(bool(campaign.broken))


if __name__ == "__main__":
    main()
