"""Outputs that are written atomically and never replace an input."""

import gzip
import io
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.errors import DataError, OutputError, UsageError
from lmkit.io import outputs
from lmkit.io.outputs import Output, open_output


def written(name, data=b"new", **settings):
    with open_output(str(name), **settings) as out:
        out.write(data)


def test_a_new_file_has_the_permissions_that_others_would_have(work):
    for mask in (0o022, 0o027, 0o077, 0o000):
        before = os.umask(mask)
        try:
            written(f"new{mask}")
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(f"new{mask}").st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o444])
def test_an_old_file_keeps_its_permissions(mode, write):
    path = write("old", b"old")
    os.chmod(path, mode)
    written(path)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_link_stays_a_link(write, work):
    (work / "folder").mkdir()
    write("folder/target", b"old")
    os.symlink("folder/target", "link")
    os.symlink("link", "link-to-link")
    written("link-to-link")
    assert os.path.islink("link")
    assert os.path.islink("link-to-link")
    assert (work / "folder" / "target").read_bytes() == b"new"
    assert os.listdir("folder") == ["target"]


def test_a_link_to_nothing_makes_the_file(work):
    os.symlink("target", "link")
    written("link")
    assert (work / "target").read_bytes() == b"new"
    assert os.path.islink("link")


def test_other_names_of_the_old_file_keep_the_old_content(write, work):
    write("old", b"old")
    os.link("old", "copy")
    written("old")
    assert ((work / "old").read_bytes(), (work / "copy").read_bytes()) == (b"new", b"old")


def test_until_it_is_whole_the_old_file_is_there(write, work):
    write("file", b"old")
    with open_output("file") as out:
        out.write(b"new")
        assert (work / "file").read_bytes() == b"old"
        assert set(os.listdir(work)) >= {"file"}
    assert (work / "file").read_bytes() == b"new"
    assert os.listdir(work) == ["file"]


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, DataError("x"), OSError(28, "No space left on device")]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(error, write, work):
    write("file", b"old")

    def fail():
        with open_output("file") as out:
            out.write(b"new")
            raise error

    with pytest.raises((ValueError, KeyboardInterrupt, DataError, OutputError)):
        fail()
    assert (work / "file").read_bytes() == b"old"
    assert os.listdir(work) == ["file"]


def test_files_beside_are_not_touched(write, work):
    write(".file.part", b"mine")
    write("file.tmp", b"mine")
    written("file")
    assert sorted(os.listdir(work)) == [".file.part", "file", "file.tmp"]


@pytest.mark.parametrize("name", [".", "none/", "file/"])
def test_folders_are_no_outputs(name, write):
    write("file", b"old")
    with pytest.raises(UsageError, match="folder"):
        written(name)


@pytest.mark.parametrize("name", ["none/file", "file/x"])
def test_outputs_that_can_not_be(name, write):
    write("file", b"old")
    with pytest.raises(OutputError, match=name):
        written(name)


def test_devices_are_written_to_as_they_are():
    written("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OutputError, match=r"/dev/full: No space left on device"):
        written("/dev/full")


def test_inputs_are_not_overwritten(write, work):
    write("file", b"old")
    os.link("file", "same")
    for name in ("file", "./file", "same"):
        with pytest.raises(UsageError, match="overwritten"):
            outputs.refuse_overwriting_inputs(name, ["other", "-", "file"])
    outputs.refuse_overwriting_inputs("new", ["file", "none"])


def test_lines_are_utf8():
    stream = io.BytesIO()
    Output(stream, live=False).line("é\udcff\u2028")
    assert stream.getvalue() == "é".encode() + b"\xff" + "\u2028\n".encode()


@settings(max_examples=20)
@given(pieces=st.lists(st.binary(max_size=50), max_size=5))
def test_gzipped(pieces):
    packed = b"".join(outputs.gzipped(pieces))
    assert gzip.decompress(packed) == b"".join(pieces)
    assert packed == b"".join(outputs.gzipped(pieces))
    assert packed[4:8] == b"\0\0\0\0"
