"""Files that are held in memory as a whole: stated limits, whatever their compression and their length."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit import checkpoint, registry
from lmkit.errors import CheckpointError, DataError
from lmkit.io import size_limits, streams, text_files
from lmkit.io.size_limits import Limit
from lmkit.ngram import arpa

PACKERS = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
HF = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
PEAK = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def zeros(mebibytes, start=b""):
    """A gzip file of a start and zeros, made without holding them."""
    packed = [gzip.compress(start)] if start else []
    piece = gzip.compress(bytes(32 << 20), 6)
    return b"".join([*packed, *[piece] * (mebibytes // 32)])


def peak(*words):
    """The status, the peak in MiB, and stderr of a command in a process of its own."""
    line = [sys.executable, "-c", PEAK, sys.executable, "-m", "lmkit", *map(str, words)]
    done = subprocess.run(line, capture_output=True, timeout=300, check=True)
    status, kibibytes = map(int, done.stdout.split())
    return status, kibibytes / 1024 if sys.platform == "linux" else kibibytes / (1 << 20), done.stderr.decode()


@pytest.fixture
def small(monkeypatch):
    """Limits of a few bytes."""
    for name in ("YAML", "TEMPLATE", "DOCUMENT", "TOKENIZER", "TABLE", "WHOLE"):
        old = getattr(size_limits, name)
        monkeypatch.setattr(size_limits, name, Limit(100, old.what, old.hint))
    monkeypatch.setattr(streams, "SNIFF", 16)
    monkeypatch.setattr(streams, "BLOCK", 7)


def header(**tensors):
    entries, end = {}, 0
    for name, size in tensors.items():
        entries[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    entries["__metadata__"] = {"lmkit": '{"format":1,"kind":"toy"}'}
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


# What reads files.


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [0, 1, 16, 99, 100, 101, 10_000])
def test_a_limit_is_exact(name, size, small, write):
    path = str(write("file", PACKERS[name](b"x" * size)))
    if size <= 100:
        assert bytes(streams.read_limited(path, size_limits.DOCUMENT)) == b"x" * size
        return
    with pytest.raises(DataError, match=r"file: longer than 100 bytes, the limit for JSON files") as raised:
        streams.read_limited(path, size_limits.DOCUMENT)
    assert raised.value.hint == "make sure that this is the file you mean"
    if name != "plain":
        with pytest.raises(DataError, match="longer than 100 bytes"):
            streams.read_whole(path)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("extra", [0, 1, 100_000])
def test_no_more_of_a_checkpoint_is_read_than_it_claims(name, extra, small, write):
    start = header(a=50, b=7)
    path = str(write("file", PACKERS[name](start + bytes(57 + extra))))
    data = streams.read_whole(path, registry.extent)
    assert len(data) == (len(start) + 57 + (min(extra, 1) if name != "plain" else extra))
    if extra:
        with pytest.raises(CheckpointError, match="after the last tensor"):
            checkpoint.parse(data)
    else:
        assert bytes(checkpoint.parse(data).tensors["b"]) == bytes(7)


@pytest.mark.parametrize("start", [b"", b"{", bytes(20), b"\xff" * 9 + b"{", (1 << 62).to_bytes(8, "little") + b"{"])
def test_of_what_is_no_model_only_the_first_block_is_read(start, small, write):
    path = str(write("file", gzip.compress(start + bytes(100_000))))
    assert len(streams.read_whole(path, registry.extent)) <= 16
    assert len(streams.read_whole("/dev/zero", registry.extent)) == 16


@pytest.mark.parametrize("cut", range(0, 200, 3))
def test_a_checkpoint_that_is_cut_off_is_read_to_its_end(cut, small, write):
    whole = header(a=50, b=7) + bytes(57)
    path = str(write("file", gzip.compress(whole[:cut])))
    assert bytes(streams.read_whole(path, registry.extent)) == whole[:cut]


def test_an_arpa_file_has_no_more_lines_than_it_counts(shelf, write, monkeypatch):
    text = shelf["mkn.arpa"].read_bytes()
    monkeypatch.setattr(arpa, "LONGEST", 1 << 12)
    monkeypatch.setattr(arpa, "PIECE", 1 << 12)
    monkeypatch.setattr(streams, "SNIFF", 1 << 12)
    path = str(write("file", gzip.compress(text)))
    assert bytes(streams.read_whole(path, registry.extent)) == text
    begin = b"\\data\\\nngram 1=2\n\n\\1-grams:\n"
    with pytest.raises(CheckpointError, match="line 5: longer than"):
        streams.read_whole(str(write("zeros", gzip.compress(begin + bytes(100_000)))), registry.extent)
    with pytest.raises(CheckpointError, match="the most that its counts of n-grams allow"):
        streams.read_whole(str(write("blank", gzip.compress(begin + b"\n" * 100_000))), registry.extent)


def test_an_endless_pipe_is_read_no_further_than_a_limit(small, work):
    os.mkfifo("pipe")
    sent = []

    def pour():
        with open("pipe", "wb", buffering=0) as pipe:
            try:
                while True:
                    sent.append(pipe.write(b"x" * 64))
            except BrokenPipeError:
                return

    thread = threading.Thread(target=pour)
    thread.start()
    with pytest.raises(DataError, match="pipe: longer than"):
        streams.read_limited("pipe", size_limits.YAML)
    thread.join()
    assert sum(sent) < 1 << 20


# Commands.


COMMANDS = {
    "ppl -c {} text.txt": "YAML files",
    "prompt fill --template @{} text.txt": "templates",
    "prompt chat --template {} text.txt": "templates",
    "prompt extract --frames {} text.txt": "JSON files",
    "prompt answer -m {model} --verbalizer {} text.txt": "JSON files",
    "sample -m {model} --json-schema {}": "JSON files",
    "sample -m {model} --grammar {}": "JSON files",
    "bpe import --format tokenizer.json {}": "tokenizer files",
    "bpe train --from-counts {}": "tables of words",
}


@pytest.mark.few(12)
@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_the_file_and_its_limit(command, packed, small, fails, shelf, write):
    write("text.txt", b"a\n")
    write("big", PACKERS[packed](b"a b\n" * 100))
    words = [word.format("big", model=shelf["char-witten-bell.lm"]) for word in command.split()]
    done = fails(3, *words)
    assert f"big: longer than 100 bytes, the limit for {COMMANDS[command]}" in done.stderr
    assert "  hint: " in done.stderr


def test_files_of_a_folder_are_read_as_they_are(small, fails, write, work):
    (work / "model").mkdir()
    write("model/config.json", json.dumps(HF).encode())
    write("model/tokenizer.json", b"{}")
    write("model/model.safetensors", gzip.compress(bytes(1000)))
    assert "model.safetensors: not a checkpoint" in fails(4, "info", "model").stderr
    write("model/config.json", json.dumps(HF).encode() + b" " * 100)
    assert "model: config.json: longer than 100 bytes" in fails(4, "info", "model").stderr
    (work / "model" / "config.json").unlink()
    os.mkfifo("model/config.json")
    assert "not a plain file" in fails(4, "info", "model").stderr


BOMBS = {
    "info {}": 4, "next --prompt a -m {}": 4, "ppl text.txt -m {}": 4, "convert {}": 4, "ngram merge {}": 4,
    "bpe import {}": 4, "ppl -c {} text.txt": 3, "prompt fill --template @{} text.txt": 3,
    "prompt extract --frames {} text.txt": 3, "bpe train --from-counts {}": 3,
}  # fmt: skip
LEVEL = 160  # MiB


@pytest.mark.parametrize("command", ["info {}", "ppl -c {} text.txt"])
def test_memory_does_not_grow_with_what_a_bomb_holds(command, write):
    write("text.txt", b"a\n")
    write("bomb.gz", zeros(256))
    status, used, error = peak(*command.format("bomb.gz").split())
    assert (status, used < LEVEL) == (BOMBS[command], True), (used, error)


@pytest.mark.slow
@pytest.mark.parametrize("command", BOMBS)
@pytest.mark.parametrize(
    "start", [b"", header(a=8), b"\\data\\\nngram 1=9\n\n\\1-grams:\n"], ids=["zeros", "lm", "arpa"]
)
def test_memory_does_not_grow_with_what_any_bomb_holds(command, start, write):
    write("text.txt", b"a\n")
    write("bomb.gz", zeros(640, start))
    status, used, error = peak(*command.format("bomb.gz").split())
    assert status in (3, 4), error
    table = 256 if "counts" in command and b"\n" in start else 0
    assert used < LEVEL + table, error


@pytest.mark.slow
@pytest.mark.parametrize("end", ["zst", "bz2", "xz"])
def test_bombs_of_other_compressors(end, write):
    compress = streams.zstandard("a test").compress if end == "zst" else PACKERS[end]
    write("bomb", compress(bytes(32 << 20)) * 20)
    for command, expected in BOMBS.items():
        status, used, error = peak(*command.format("bomb").replace("text.txt", "/dev/null").split())
        assert (status, used < LEVEL) == (expected, True), (command, used, error)


@pytest.mark.slow
def test_tokenizers_are_bounded(write):
    write("bomb.gz", zeros(640, b'{"model": {'))
    status, used, error = peak("bpe", "import", "bomb.gz")
    assert (status, used < 2 * 128 + LEVEL) == (3, True), (used, error)


# Lines.


@given(
    st.lists(st.integers(0, 60), min_size=1), st.integers(1, 30), st.sampled_from([b"", b"\n"]), st.booleans(),
)  # fmt: skip
def test_a_line_is_refused_by_its_length_whatever_the_blocks(lengths, block, end, eager):
    longest = Limit(40, "lines", "split it")
    data = b"\n".join(b"x" * length for length in lengths) + end
    reader = text_files.TextReader(block=block, longest=longest, eager=eager)
    pieces = [data[begin : begin + block] for begin in range(0, len(data), block)]
    wrong = next((number for number, length in enumerate(lengths, 1) if length > 40), None)
    if wrong is None:
        expected = data if not data or data.endswith(b"\n") else data + b"\n"
        assert b"".join(reader.blocks_in(pieces, "file")) == expected
        return
    with pytest.raises(DataError, match=f"^file:{wrong}: longer than 40 bytes, the limit for lines$"):
        list(reader.blocks_in(pieces, "file"))


@given(st.lists(st.integers(0, 90), min_size=1), st.integers(1, 30), st.sampled_from([b"", b"\n"]), st.booleans())
def test_a_line_that_is_skipped_leaves_an_empty_one(lengths, block, end, eager):
    errors = []
    reader = text_files.TextReader(block=block, longest=Limit(40, "lines", ""), eager=eager, skip=errors.append)
    data = b"\n".join(b"x" * length for length in lengths) + end
    pieces = [data[begin : begin + block] for begin in range(0, len(data), block)]
    expected = b"\n".join(b"x" * length if length <= 40 else b"" for length in lengths) + end
    assert b"".join(reader.blocks_in(pieces, "file")).removesuffix(b"\n") == expected.removesuffix(b"\n")
    places = [f"file:{number}:" for number, length in enumerate(lengths, 1) if length > 40]
    assert [str(error).split(" ")[0] for error in errors] == places


@pytest.mark.parametrize("packed", PACKERS)
def test_pieces_have_no_longer_words_than_lines(packed, write):
    longest = Limit(40, "lines", "split it")
    path = str(write("file", PACKERS[packed](b"a b\n" + b"c" * 39 + b" " + b"d" * 41)))
    reader = text_files.TextReader(block=7, longest=longest)
    with pytest.raises(DataError, match="file:2: longer than 40 bytes"):
        list(reader.pieces(path, separators=b" \n"))
    assert sum(map(len, reader.pieces(path))) == 85


LINES = {
    "score -q -m {model} {}": "RECORD", "sample -m {model} {}": "RECORD", "prompt chat --template chatml {}": "RECORD",
    "prompt fill --template [X] {}": "RECORD", "prompt zero-shot {}": "RECORD", "prompt few-shot {} {}": "RECORD",
    "eval classify --gold {} {}": "RECORD", "eval text {}": "LINE", "ppl -m {model} {}": "LINE",
    "prompt answer -m {model} --candidates a,b {}": "RECORD", "calc softmax {}": "RECORD", "entropy --probs {}": "LINE",
    "ngram count {}": "LINE", "ngram fit {}": "LINE", "w2v train {}": "LINE", "train ffn {}": "LINE",
    "bpe train --level char {}": "LINE", "bpe encode -m {model} {}": "LINE", "data format --style t5 {}": "RECORD",
    "embed -m {neural} {}": "RECORD", "entropy -m {model} {}": "LINE", "ngram query -m {model}": "RECORD",
}  # fmt: skip


@pytest.mark.few(8)
@pytest.mark.parametrize("command", LINES)
def test_commands_name_a_line_that_is_too_long(command, fails, shelf, write, monkeypatch):
    for name in ("RECORD", "LINE"):
        monkeypatch.setattr(size_limits, name, Limit(100, name, "split it"))
    monkeypatch.setattr(streams, "BLOCK", 50)
    text = b"a b " * 50
    write("text.txt", text)
    names = {"model": shelf["char-witten-bell.lm"], "neural": shelf["transformer.lm"]}
    words = [word.format("text.txt", **names) for word in command.split()]
    done = fails(3, *words, stdin=b"" if "text.txt" in words else text)
    assert ("text.txt:1" if "text.txt" in words else "<stdin>:1") in done.stderr
    assert f"longer than 100 bytes, the limit for {LINES[command]}" in done.stderr
