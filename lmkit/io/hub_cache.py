"""Models in the local cache of Hugging Face's hub, found by name without network.

The cache has a folder `models--ORG--NAME` for each model: `refs/main` holds the commit of the branch main, and
`snapshots/COMMIT` the files of a commit. Other branches and commits are named `org/name@revision`.
"""

import os
import re
from typing import NamedTuple

_NAME = re.compile(r"((?:[\w.-]+/)?[\w.-]+)(?:@([\w.-]+))?")
_REVISION = re.compile(r"[\w.-]+")
MAIN = "main"


class Snapshot(NamedTuple):
    """A model in the cache: the folder of its files, and their commit."""

    folder: str
    revision: str


def cache_folder() -> str:
    """Return where the cache is: $HF_HUB_CACHE, else `hub` in $HF_HOME, else in ~/.cache/huggingface."""
    own = os.environ.get("HF_HUB_CACHE")
    home = os.environ.get("HF_HOME") or os.path.join("~", ".cache", "huggingface")
    return os.path.expanduser(own or os.path.join(home, "hub"))


def is_hub_name(name: str) -> bool:
    """Whether a name has the form `org/name`."""
    return name.count("/") == 1 and _NAME.fullmatch(name) is not None


def find(name: str) -> Snapshot | None:
    """Return the model of a name, `org/name` or `org/name@revision`; None where the cache has none."""
    found = _NAME.fullmatch(name)
    if found is None or ".." in name:
        return None
    model, revision = found[1], found[2] or MAIN
    folder = os.path.join(cache_folder(), "models--" + model.replace("/", "--"))
    commit = _commit(folder, revision) or revision
    snapshot = os.path.join(folder, "snapshots", commit)
    return Snapshot(snapshot, commit) if os.path.isdir(snapshot) else None


def blobs_of(snapshot: str) -> str | None:
    """Return where the files are that a snapshot's links name; None where a folder is in no cache.

    What `blobs` may itself be a link to does not count.
    """
    snapshots, _ = os.path.split(os.path.abspath(snapshot))
    model, name = os.path.split(snapshots)
    return os.path.join(os.path.realpath(model), "blobs") if name == "snapshots" else None


def _commit(folder: str, revision: str) -> str | None:
    """The commit that a branch or tag is at; None where it is not there."""
    try:
        with open(os.path.join(folder, "refs", revision), encoding="ascii") as file:
            commit = file.read(100).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if _REVISION.fullmatch(commit) and commit.strip(".") else None
