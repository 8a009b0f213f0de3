"""How lmkit was installed: its files beside the code, and the command that adds a package. Runs nothing."""

import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lmkit

DISTRIBUTION = "lmkit-cli"
PIPX, UV_TOOL = "pipx_metadata.json", "uv-receipt.toml"
"""Files in the environments that these tools make for a program."""
INSTALLED = {
    "completions/lmkit.bash": "bash-completion/completions/lmkit",
    "completions/_lmkit": "site-functions/_lmkit",
    "completions/lmkit.fish": "vendor_completions.d/lmkit.fish",
}
"""Files of a checkout that have another name where they are installed."""
_DEVELOPING = re.compile(r"extra == ['\"](test|dev)['\"]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def shared_file(name: str) -> Path | None:
    """A file of the manual or of the completions, such as `man/man1/lmkit.1`: in a checkout, or where it was installed.

    None where it is neither.
    """
    from importlib import metadata  # takes a twentieth of the time of a command

    beside = Path(lmkit.__file__).resolve().parent.parent / name
    if beside.is_file():
        return beside
    ending = INSTALLED.get(name, f"share/{name}")
    for file in metadata.files(DISTRIBUTION) or ():
        if str(file).endswith(ending):
            return Path(str(file.locate()))
    return None


def adding(package: str) -> str:
    """The command that installs a package where lmkit is: with pipx, as a tool of uv, or in this environment."""
    wanted = requirement(package)
    if os.path.exists(os.path.join(sys.prefix, PIPX)):
        return shlex.join(["pipx", "inject", os.path.basename(sys.prefix), wanted])
    with suppress(OSError, ValueError, KeyError, TypeError):
        return shlex.join(["uv", "tool", "install", *_tool_again(os.path.join(sys.prefix, UV_TOOL)), "--with", wanted])
    pip = shutil.which("pip")
    if find_spec("pip") is None and shutil.which("uv") is not None:
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, wanted])
    if find_spec("pip") is None and pip is not None:
        return shlex.join(["pip", "--python", sys.executable, "install", wanted])
    here = pip is not None and os.path.dirname(pip) == os.path.dirname(sys.executable)
    return shlex.join([*(["pip"] if here else [sys.executable, "-m", "pip"]), "install", wanted])


def requirement(package: str) -> str:
    """The package with the versions that lmkit works with: `torch>=2.6`; its name alone where they are not known."""
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError):
        for line in metadata.requires(DISTRIBUTION) or ():
            wanted, _, condition = line.partition(";")
            if _DEVELOPING.search(condition):
                continue
            wanted = wanted.strip()
            name = _NAME.match(wanted)
            if name is not None and _normal(name[0]) == _normal(package):
                return package + wanted[name.end() :]
    return package


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _tool_again(receipt: str) -> list[str]:
    """What `uv tool install` was given: where lmkit came from, and the packages beside it.

    Raises OSError where there is no receipt, and ValueError, KeyError or TypeError for one that tells no source.
    """
    import tomllib

    with open(receipt, "rb") as file:
        listed = tomllib.load(file)["tool"]["requirements"]
    own = next(each for each in listed if _normal(each["name"]) == DISTRIBUTION) if listed else {}
    words = ["--editable", own["editable"]] if "editable" in own else [_source(own)]
    for each in listed:
        if each is not own:
            words += ["--with", each["name"] + each.get("specifier", "")]
    return words


def _source(listed: dict[str, Any]) -> str:
    """A folder, a wheel, an address or a repository. Raises KeyError where there is none."""
    for key in ("directory", "path", "url"):
        if key in listed:
            return str(listed[key])
    address, query, rest = str(listed["git"]).partition("?")
    revision = dict(part.partition("=")[::2] for part in rest.split("&")) if query else {}
    pinned = next((revision[key] for key in ("rev", "tag", "branch") if key in revision), None)
    return f"git+{address}" + (f"@{pinned}" if pinned else "")
