"""Installs a wheel, not the tree, with every Python and every installer found, and tries it as a user: `make matrix`.

Prints a row for each: what installed it, the packages and megabytes of the base install, and what failed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SUPPORTED = range(11, 16)
ROOT = Path(__file__).resolve().parents[2]
PAGE = "share/man/man7/lmkit-sampling.7"


def interpreters() -> dict[str, Path]:
    """A Python of each minor version that lmkit supports: on PATH, from pyenv or from uv."""
    homes = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local/share/uv/python"
    homes += [folder / "bin" for versions in (pyenv, uv) for folder in sorted(versions.glob("*"), reverse=True)]
    found: dict[str, Path] = {f"3.{sys.version_info.minor}": Path(sys.executable)}
    for minor in SUPPORTED:
        for home in homes:
            candidate = home / f"python3.{minor}"
            if f"3.{minor}" not in found and candidate.is_file() and _answers(candidate):
                found[f"3.{minor}"] = candidate
    return dict(sorted(found.items(), key=lambda pair: int(pair[0][2:])))


def _answers(python: Path) -> bool:
    """Whether it runs at all: pyenv's shims of other versions do not."""
    done = subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return done.returncode == 0


def run(*words: object, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A command's end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command = [str(word) for word in words]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**clean, **environment}, check=False
    )


def installed(*words: object, **environment: str) -> None:
    """Runs an installer. Raises RuntimeError."""
    done = run(*words, **environment)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-400:]}")


def failures(lmkit: Path, work: Path) -> Iterator[str]:
    """What does not work of an installed lmkit, tried in a folder without a checkout."""
    text, model = work / "text.txt", work / "model.lm"
    steps: Sequence[tuple[Sequence[object], int, str]] = [
        (["--version"], 0, r"lmkit \d"),
        (["data", "text", "python-docs", "-o", text], 0, ""),
        (["ngram", "fit", "--order", "3", text, "-o", model], 0, ""),
        (["ppl", "-b", "-m", model, text], 0, r"^\d+\.\d+"),
        (["sample", "-m", model, "-n", "2"], 0, r"\w"),
        (["bpe", "train", "--vocab-size", "400", text, "-o", work / "bpe.lm"], 0, ""),
        (["w2v", "train", "--dim", "8", "--epochs", "1", text, "-o", work / "w2v.lm"], 0, ""),
        (["info", model], 0, "ngram"),
        (["man", "sampling"], 0, "NAME\n"),
        (["completion", "bash"], 0, "complete"),
        (["train", "rnn", "--steps", "1", text, "-o", work / "rnn.lm"], 69, "torch"),
    ]
    for arguments, status, pattern in steps:
        done = run(lmkit, *arguments)
        said = done.stdout if status == 0 else done.stderr
        if done.returncode != status or not re.search(pattern, said):
            yield f"`{' '.join(map(str, arguments[:2]))}`: status {done.returncode}, {said.strip()[-160:]!r}"


def size(environment: Path) -> str:
    """Packages of an environment beside pip, and the megabytes that they take."""
    packages = {
        path.name
        for path in environment.glob("lib/python*/site-packages/*.dist-info")
        if not path.name.startswith(("pip-", "setuptools-", "wheel-"))
    }
    taken = sum(
        path.stat().st_blocks * 512
        for path in environment.rglob("*")
        if path.is_file() and not path.is_symlink() and "site-packages/pip" not in str(path)
    )
    return f"{len(packages)}\t{taken / 1e6:.0f}"


def ways(wheel: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Each way to install, done: its name, and the environment that it made."""
    for version, python in interpreters().items():
        home = folder / f"pip-{version}"
        installed(python, "-m", "venv", home)
        installed(home / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
        yield f"pip, Python {version}", home
    if shutil.which("pipx"):
        homes = {"PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(folder / "pipx-bin")}
        installed("pipx", "install", wheel, PIPX_MAN_DIR=str(folder / "pipx-man"), **homes)
        yield "pipx", folder / "pipx/venvs/lmkit-cli"
    if shutil.which("uv"):
        homes = {"UV_TOOL_DIR": str(folder / "uv"), "UV_TOOL_BIN_DIR": str(folder / "uv-bin")}
        installed("uv", "tool", "install", "--python", sys.executable, wheel, **homes)
        yield "uv tool", folder / "uv/lmkit-cli"


def main() -> None:
    """Exits with 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    failed = False
    print("installed by\tpackages\tMB\tresult", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, home in ways(wheel, Path(folder)):
            work = Path(folder) / "work"
            work.mkdir()
            wrong = list(failures(home / "bin/lmkit", work))
            if not (home / PAGE).is_file():
                wrong.append(f"no {PAGE}")
            shutil.rmtree(work)
            failed = failed or bool(wrong)
            print(f"{name}\t{size(home)}\t{'; '.join(wrong) or 'ok'}", flush=True)
    missing = [f"3.{minor}" for minor in SUPPORTED if f"3.{minor}" not in interpreters()]
    absent = [tool for tool in ("pipx", "uv") if not shutil.which(tool)]
    print(f"not found, so not tried: {', '.join([*(f'Python {name}' for name in missing), *absent]) or 'none'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
