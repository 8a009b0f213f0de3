"""Files and folders that take the place of others at once, and what killed writers leave behind."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from lmkit.io import atomic_replacement
from lmkit.io.folders import write_folder
from lmkit.io.outputs import open_output

WRITER = """
import os, sys
from pathlib import Path
from lmkit.io.{module} import {function} as function
if {named}:
    del os.O_TMPFILE
with function({target!r}{more}) as out:
    print("writing", flush=True)
    sys.stdin.read()
"""
WAYS = ("nameless", "named", "copied")


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """How a file is written: without a name, with one, or without one where it can't be linked at last."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param == "copied":
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(18, "no link")))
    return request.param


@pytest.fixture
def killed(work):
    """Starts the writer of a file or folder, and gives it back while it writes."""
    processes = []

    def killed(target, *, named=True, folder=False):
        module, function, more = ("atomic_replacement", "new_folder", "") if folder else ("outputs", "open_output", "")
        shown = f"Path({target!r}).absolute()" if folder else repr(target)
        text = WRITER.replace("{target!r}", shown).format(module=module, function=function, more=more, named=named)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", text], **pipes)
        processes.append(process)
        assert process.stdout.readline() == b"writing\n"
        return process

    yield killed
    for process in processes:
        process.kill()
        process.communicate()


def written(name, data=b"new"):
    with open_output(str(name)) as out:
        out.write(data)


def parts(work):
    return [name for name in os.listdir(work) if name.endswith(".part")]


def test_every_way_of_writing_gives_the_same_file(way, work):
    written("file", b"new" * 1_000_000)
    os.chmod("file", 0o640)
    written("file", b"newer")
    assert (work / "file").read_bytes() == b"newer"
    assert os.stat("file").st_mode & 0o777 == 0o640
    assert os.listdir(work) == ["file"]


def test_a_nameless_file_leaves_nothing_when_its_writer_is_killed(killed, work):
    if not hasattr(os, "O_TMPFILE"):
        return
    process = killed("file", named=False)
    process.kill()
    process.wait()
    assert os.listdir(work) == []


@pytest.mark.few(2)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_output(folder, killed, work, way):
    process = killed("out", folder=folder)
    other = killed("out.lm")
    living = killed("out", folder=folder)
    for victim in (process, other):
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert len(parts(work)) == 3
    if folder:
        write_folder("out", {"a": [b"x"]})
    else:
        written("out")
    left = parts(work)  # of another output, and of one that still writes
    assert sorted(name.rpartition(".")[0].rpartition(".")[0] for name in left) == [".out", ".out.lm"]
    living.communicate()
    assert living.returncode == (1 if folder else 0)  # a folder that is there already is not replaced
    assert len(parts(work)) == 1
    written("out.lm")
    assert sorted(os.listdir(work)) == ["out", "out.lm"]


def test_where_there_are_no_locks_nothing_is_removed(monkeypatch, write, work):
    write(".file.0123abcd.part", b"of somebody")

    def fail(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", fail)
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    written("file")
    assert sorted(os.listdir(work)) == [".file.0123abcd.part", "file"]


def test_only_plain_files_and_folders_of_the_user_are_removed(write, work, monkeypatch):
    write("mine", b"mine")
    os.symlink("mine", ".file.0123abcd.part")
    os.mkfifo(".file.0123abce.part")
    write(".file.0123abcf.part", b"abandoned")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    written("file")
    assert len(parts(work)) == 3
    monkeypatch.undo()
    os.chdir(work)
    written("file")
    assert sorted(parts(work)) == [".file.0123abcd.part", ".file.0123abce.part"]
    assert (work / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["n" * 243, "n" * 255, "é" * 127, "x" * 100, "x" * 101])
def test_names_may_be_as_long_as_the_file_system_allows(name, way, work):
    written(name)
    written(name, b"newer")
    assert (work / name).read_bytes() == b"newer"
    assert os.listdir(work) == [name]
    write_folder(f"{name[:-1]}+", {"a": [b"x"]})
    assert len(os.listdir(work)) == 2


def test_long_names_that_begin_alike_have_other_temporary_names(killed, work):
    first, second = killed("n" * 200 + "1"), killed("n" * 200 + "2")
    first.kill()
    first.wait()
    second.kill()
    second.wait()
    written("n" * 200 + "1")
    assert len(parts(work)) == 1


def test_one_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(monkeypatch, work):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    lock, removed = atomic_replacement._lock, []

    def late(handle):
        if not removed:
            removed.extend(parts(work))
            os.unlink(removed[0])
        lock(handle)

    monkeypatch.setattr(atomic_replacement, "_lock", late)
    written("file")
    assert len(removed) == 1
    assert os.listdir(work) == ["file"]
