"""Files, pipes and standard streams."""

import bz2
import gzip
import importlib.util
import io
import lzma
import os
import stat
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.errors import DataError, OutputError, UsageError
from lmkit.io import streams
from lmkit.io.streams import Output, TextReader, open_input, open_output

TEXT = "".join(f"line {number} of many é\n" for number in range(3000)).encode()
PACKERS = {
    "plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "gz in two": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "bz2 in two": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    "xz in two": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
    "gz of nothing and all": lambda data: gzip.compress(b"") + gzip.compress(data),
    "gz with a name": lambda data: with_name(data),
}  # fmt: skip


def with_name(data):
    packed = io.BytesIO()
    with gzip.GzipFile("a name.txt", "wb", fileobj=packed, mtime=1) as stream:
        stream.write(data)
    return packed.getvalue()


def zstd(data):
    """One frame of zstd that stores its bytes as they are (RFC 8878), in blocks of 128 KiB at most."""
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + len(data).to_bytes(4, "little")
    pieces = [data[place : place + (1 << 17)] for place in range(0, len(data), 1 << 17)] or [b""]
    blocks = b"".join(
        ((len(piece) << 3) | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    )
    return header + blocks


def has_zstd():
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def read(name, **settings):
    return b"".join(TextReader(**settings).blocks(str(name)))


@pytest.fixture
def stdin(monkeypatch):
    def stdin(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return stdin


# Compressed files.


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_files_are_read_as_they_are(name, write, stdin):
    packed = PACKERS[name](TEXT)
    assert read(write("any name", packed)) == TEXT
    stdin(packed)
    assert read("-") == TEXT
    with open_input("any name") as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_very_short_files(name, size, write):
    text = b"a\n\xc3\xa9"[:size]
    expected = b"" if not text else text if text.endswith(b"\n") else text + b"\n"
    assert read(write("short", PACKERS[name](text)), raw=True) == expected


@pytest.mark.parametrize(
    "pieces", [[TEXT], [TEXT[:1000], TEXT[1000:]], [b"", TEXT], [TEXT * 10]], ids=["one", "two", "empty first", "long"]
)
def test_zstd(pieces, write, lmkit):
    path = write("text.zst", b"".join(map(zstd, pieces)))
    if has_zstd():
        assert read(path) == b"".join(pieces)
    else:
        done = lmkit("ngram", "count", path)
        assert done.status == 69
        assert (
            done.stderr == "lmkit ngram count: reading .zst needs backports.zstd\n  hint: pip install backports.zstd\n"
        )


def test_zstd_that_is_damaged(write, lmkit):
    path = write("text.zst", zstd(TEXT)[:-10])
    assert lmkit("ngram", "count", path).status == (3 if has_zstd() else 69)


@pytest.mark.parametrize("pack", ["gz", "bz2", "xz"])
def test_every_command_reads_compressed_files(pack, lmkit, shelf, write):
    model = write("model", PACKERS[pack](shelf["witten-bell-2.lm"].read_bytes()))
    arpa = write("arpa", PACKERS[pack](shelf["mkn.arpa"].read_bytes()))
    text = write("text", PACKERS[pack](shelf["test.txt"].read_bytes()))
    plain = lmkit("ppl", "-b", "-m", shelf["witten-bell-2.lm"], "-m", shelf["mkn.arpa"], shelf["test.txt"])
    assert lmkit("ppl", "-b", "-m", model, "-m", arpa, text).stdout == plain.stdout != b""
    counts = write("counts", PACKERS[pack](shelf["counts.lm"].read_bytes()))
    assert lmkit("ngram", "merge", counts).stdout == lmkit("ngram", "merge", shelf["counts.lm"]).stdout != b""


# Lines.


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\nb", [b"a", b"b"]),
     (b"\n\na\n\n", [b"", b"", b"a", b""]),
     (b"a\r\nb\r\n", [b"a", b"b"]), (b"a\rb\r\r\nc", [b"a\rb\r", b"c"]), (b"\xef\xbb\xbfa\n", [b"a"]),
     (b"\xef\xbb\xbf", []), (b"\xef\xbb\xbf\n", [b""]),
     ("é\u2028ñ\x85\n".encode(), ["é\u2028ñ\x85".encode()]), (b"long " * 50 + b"\nx", [b"long " * 50, b"x"])],
)  # fmt: skip
def test_lines(text, lines, block, eager, write):
    path = str(write("text", text))
    assert list(TextReader(block=block, eager=eager).lines(path)) == lines
    for piece in TextReader(block=block, eager=eager).blocks(path):
        assert piece.endswith(b"\n")


PIECES = (b"a", b"\n", b"\r\n", b"\r", "é".encode(), b"\xef\xbb\xbf", "\u2028".encode(), b" ")


@settings(max_examples=80)
@given(text=st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join), block=st.integers(1, 9), eager=st.booleans())
def test_lines_do_not_depend_on_blocks(text, block, eager, write):
    path = str(write("text", text))
    expected = text.removeprefix(b"\xef\xbb\xbf")
    if expected and not expected.endswith(b"\n"):
        expected += b"\n"
    assert read(path, block=block, eager=eager) == expected.replace(b"\r\n", b"\n")


@settings(max_examples=80)
@given(
    text=st.binary(max_size=30).filter(lambda text: text[:1] not in (b"(", b"B", b"\x1f", b"\xfd")),
    block=st.integers(1, 9),
)
def test_replaced_bytes_do_not_depend_on_blocks(text, block, write):
    path = str(write("text", text))
    whole, cut = TextReader(replace=True), TextReader(replace=True, block=block)
    assert b"".join(cut.blocks(path)) == b"".join(whole.blocks(path))
    assert cut.replaced == whole.replaced
    b"".join(cut.blocks(path)).decode()


def test_a_carriage_return_and_its_feed_in_two_blocks(write):
    assert read(write("text", b"ab\r\ncd\r\n"), block=3) == b"ab\ncd\n"


def test_raw_takes_any_bytes(write):
    assert read(write("text", b"\xff\xfe\0\n\xef\xbb\xbf"), raw=True) == b"\xff\xfe\0\n\xef\xbb\xbf\n"


@pytest.mark.parametrize("block", [1, 5, 64, 1 << 20])
def test_errors_name_line_and_column_whatever_the_block(block, write):
    path = str(write("text", b"one\ntwo\nthr\xc3\xa9\xff\nfour\n"))
    with pytest.raises(DataError, match=r"text:3: not UTF-8 \(byte 0xff, column 6\)"):
        list(TextReader(block=block).blocks(path))


def test_replaced_bytes_are_counted(write):
    reader = TextReader(replace=True)
    path = str(write("text", "a\ufffd".encode() + b"\xff\xe2\x82\n\xff\n"))
    assert b"".join(reader.blocks(path)).decode() == "a\ufffd\ufffd\ufffd\n\ufffd\n"
    assert reader.replaced == 3


def test_files_are_closed(write):
    """Also where reading stops early; an unclosed file would be a warning, and warnings are errors here."""
    path = str(write("text", gzip.compress(TEXT)))
    lines = TextReader().lines(path)
    next(lines)
    lines.close()
    with pytest.raises(DataError):
        read(write("bad", gzip.compress(TEXT)[:-9]))


# Sizes.


def test_sizes(write, work):
    one, two = write("one", b"abc"), write("two", b"")
    assert streams.size_of([str(one), str(two), str(one)]) == 6
    assert streams.size_of([]) == 0
    assert streams.size_of(["none"]) is None
    assert streams.size_of([str(work)]) is None
    assert streams.size_of(["/dev/null"]) is None


# Whole files.


@pytest.mark.parametrize("name", ["plain", "gz", "bz2", "xz", "gz in two"])
def test_whole_files(name, write, stdin):
    packed = PACKERS[name](TEXT)
    assert bytes(streams.read_whole(str(write("file", packed)))) == TEXT
    stdin(packed)
    assert bytes(streams.read_whole("-")) == TEXT


def test_whole_files_that_are_empty_or_not_there(write, stdin, work):
    assert bytes(streams.read_whole(str(write("file", b"")))) == b""
    stdin(b"")
    assert bytes(streams.read_whole("-")) == b""
    for name in ("none", str(work)):
        with pytest.raises(DataError):
            streams.read_whole(name)


# Outputs.


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
            written(name, inputs=["other", "-", "file"])
    assert (work / "file").read_bytes() == b"old"
    written("new", inputs=["file", "none"])


def test_lines_are_utf8():
    stream = io.BytesIO()
    Output(stream, live=False).line("é\udcff\u2028")
    assert stream.getvalue() == "é".encode() + b"\xff" + "\u2028\n".encode()


def test_arguments_are_the_bytes_that_were_typed():
    assert streams.argument_bytes(os.fsdecode("café".encode())) == "café".encode()
    assert streams.argument_bytes(os.fsdecode(b"caf\xe9 \xc3\xa9"), raw=True) == b"caf\xe9 \xc3\xa9"
    with pytest.raises(UsageError, match="byte 0xe9"):
        streams.argument_bytes(os.fsdecode(b"caf\xe9 \xc3\xa9"))


@settings(max_examples=20)
@given(pieces=st.lists(st.binary(max_size=50), max_size=5))
def test_gzipped(pieces):
    packed = b"".join(streams.gzipped(pieces))
    assert gzip.decompress(packed) == b"".join(pieces)
    assert packed == b"".join(streams.gzipped(pieces))
    assert packed[4:8] == b"\0\0\0\0"
