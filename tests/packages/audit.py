"""Prints the packages that lmkit's base install brings: version, size, licence, what needs each.

    python tests/packages/audit.py [EXTRA...]

With extras theirs too. pip-audit is then asked for known vulnerabilities, where it is installed. Exit status 1 where a
package names no licence or has a known vulnerability.
"""

import re
import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

OURS = "lmkit-cli"
LINE = "{:24} {:12} {:>7} {:32} {}"


def needed(extras: list[str]) -> dict[str, set[str]]:
    """Every package that is installed with lmkit, and the packages that need it."""
    found: dict[str, set[str]] = {}
    waiting = [(OURS, extra) for extra in ["", *extras]]
    while waiting:
        package, extra = waiting.pop()
        for text in metadata.requires(package) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if name == OURS:
                waiting += [(OURS, more) for more in requirement.extras]
                continue
            if name not in found:
                waiting += [(name, more) for more in ["", *requirement.extras]]
            found.setdefault(name, set()).add(package)
    return found


def licence(package: str) -> str:
    """A package's licence, as it names it; empty where it names none."""
    about = metadata.metadata(package)
    classifiers = [text.split(" :: ")[-1] for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    return (about.get("License-Expression") or ", ".join(classifiers) or about.get("License") or "").split("\n")[0]


def megabytes(package: str) -> float:
    """The size of a package's files."""
    sizes = (file.locate().stat().st_size for file in metadata.files(package) or [] if file.locate().exists())
    return sum(sizes) / 1e6


def vulnerabilities(packages: dict[str, str]) -> bool:
    """Print what pip-audit knows of the versions; return whether it found something."""
    pins = "".join(f"{name}=={version}\n" for name, version in packages.items())
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "-r",
        "/dev/stdin",
    ]
    done = subprocess.run(command, input=pins, capture_output=True, text=True, check=False)
    if done.stdout.strip() or not done.returncode:
        print(done.stdout.strip() or "pip-audit: no known vulnerabilities")
        return bool(done.returncode)
    print(f"no answer on vulnerabilities: {done.stderr.strip().splitlines()[-1][:200]}")
    return False


def main() -> int:
    """Print the table and its sums."""
    wanted = needed(sys.argv[1:])
    print(LINE.format("package", "version", "MB", "licence", "needed by"))
    unnamed = 0
    for name in sorted(wanted):
        unnamed += not licence(name)
        size = f"{megabytes(name):.1f}"
        print(
            LINE.format(
                name, metadata.version(name), size, licence(name)[:32] or "NONE", ", ".join(sorted(wanted[name]))
            )
        )
    print(f"{len(wanted)} packages, {sum(map(megabytes, wanted)):.0f} MB")
    return int(vulnerabilities({name: metadata.version(name) for name in wanted}) or unnamed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
