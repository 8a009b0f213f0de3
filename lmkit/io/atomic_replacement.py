"""Atomic replacement: a file or folder is written under a temporary name, or none, and renamed when it is complete.

A temporary name is `.NAME.RANDOM.part` beside the target. Its writer holds a lock (flock) on it, which
ends with the process however that ends, so the next writer of the same target removes what was abandoned.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LONGEST = 100  # bytes of a target's name that its temporary name repeats; file systems allow 143 or 255 in all
_TRIES = 100


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `target` when the block ends without an error.

    The file has no name while it is written, where the file system and the kernel allow that.
    Keeps the permissions of an old file. Raises OSError.
    """
    remove_abandoned(target)
    handle, name = _open(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(handle)
            os.fchmod(handle, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask())
            if name is None:
                name = _fresh(target)
                _link(handle, name)
            os.replace(name, target)  # before the lock ends with the closing
    except BaseException:
        if name is not None:
            with suppress(OSError):
                os.unlink(name)
        raise


@contextmanager
def new_folder(target: Path) -> Iterator[str]:
    """A temporary folder that becomes `target`, absent or empty before, when the block ends. Raises OSError."""
    remove_abandoned(target)
    handle, name = _make(target, folder=True)
    try:
        yield name
        os.chmod(name, 0o777 & ~umask())
        os.rename(name, target)
    except BaseException:
        shutil.rmtree(name, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def remove_abandoned(target: Path) -> None:
    """Removes temporary files and folders of this target, the user's own, whose writers have ended."""
    pattern = re.compile(re.escape(_prefix(target.name)) + r"[0-9a-f]{8}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_unlocked(entry.path)


def umask() -> int:
    """The permissions that new files are not to have."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _prefix(name: str) -> str:
    data = os.fsencode(name)
    if len(data) > LONGEST:
        start = data[: LONGEST - 20].decode(errors="ignore")
        return f".{start}~{hashlib.blake2b(data, digest_size=6).hexdigest()}."
    return f".{name}."


def _fresh(target: Path) -> str:
    """A temporary name that no file has."""
    for _ in range(_TRIES):
        name = str(target.with_name(f"{_prefix(target.name)}{os.urandom(4).hex()}.part"))
        if not os.path.lexists(name):
            return name
    raise FileExistsError(f"no free temporary name beside {target}")


def _open(target: Path) -> tuple[int, str | None]:
    """A new file, locked, and its temporary name, if it needs one."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):  # the file system has none such; what else is wrong is found below
            handle = os.open(target.parent, os.O_TMPFILE | os.O_RDWR, 0o600)
            if os.path.exists(f"/proc/self/fd/{handle}"):
                with suppress(OSError):
                    _lock(handle)  # the name that it gets at last is not to be taken for an abandoned one
                return handle, None
            os.close(handle)
    return _make(target)


def _make(target: Path, *, folder: bool = False) -> tuple[int, str]:
    """A new file or folder under a temporary name, opened and locked."""
    for _ in range(_TRIES):
        name = _fresh(target)
        with suppress(FileExistsError):
            if folder:
                os.mkdir(name, 0o700)
                handle = os.open(name, os.O_RDONLY)
            else:
                handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if _keep(handle, name):
                return handle, name
            os.close(handle)
    raise FileExistsError(f"no free temporary name beside {target}")


def _keep(handle: int, name: str) -> bool:
    """Locks what was just made; False where another process took it for abandoned before that."""
    try:
        _lock(handle)
    except BlockingIOError:
        return False
    except OSError:  # no locks here: nothing is ever taken for abandoned
        return True
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(name))
    except FileNotFoundError:
        return False


def _lock(handle: int) -> None:
    """Locks without waiting. Raises BlockingIOError where another has the lock, other OSErrors where there are none."""
    try:
        import fcntl
    except ImportError:
        raise OSError("no locks of files") from None
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_unlocked(path: str) -> None:
    """Removes a file or folder of this user unless its lock is held. Raises OSError."""
    status = os.lstat(path)
    folder = stat.S_ISDIR(status.st_mode)
    if status.st_uid != os.geteuid() or not (folder or stat.S_ISREG(status.st_mode)):
        return
    handle = os.open(path, (os.O_RDONLY if folder else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _lock(handle)
        if folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    finally:
        os.close(handle)


def _link(handle: int, name: str) -> None:
    """Gives a file without a name its name; copies it where the system has no such links after all."""
    source = f"/proc/self/fd/{handle}"
    try:
        os.link(source, name, src_dir_fd=handle, follow_symlinks=True)  # any src_dir_fd: linkat instead of link
    except OSError:
        with open(source, "rb") as whole, open(name, "xb") as copy:
            with suppress(OSError):
                _lock(copy.fileno())
            shutil.copyfileobj(whole, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
            os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(handle).st_mode))
