"""`lmkit compress` and `lmkit decompress`."""

import json
import math
import os
import pty
import subprocess
import sys

import pytest

TEXT = b"the cat saw the dragon\r\n\nthe  cat\t</s>\xff\n<unk> ni\xc3\xb1a"


@pytest.fixture
def packed(lmkit, shelf, write):
    """A text compressed with a model, as files `text` and `packed`."""
    write("text", TEXT)
    assert lmkit("compress", "-q", "-m", shelf["witten-bell-3.lm"], "text", "-o", "packed").status == 0
    return "packed"


def test_a_text_comes_back(lmkit, shelf, packed, work):
    done = lmkit("decompress", "-m", shelf["witten-bell-3.lm"], packed)
    assert (done.status, done.stdout) == (0, TEXT)
    assert lmkit("decompress", "-m", shelf["witten-bell-3.lm"], packed, "-o", "back").status == 0
    assert (work / "back").read_bytes() == TEXT


@pytest.mark.slow
def test_text_and_model_come_any_way(shell, shelf, write):
    write("model.lm", shelf["katz-3.lm"].read_bytes())
    write("text", TEXT * 50)
    done = shell("""
    set -e -o pipefail
    lmkit compress -q -m model.lm text > 1
    lmkit compress -q -m model.lm < text | cmp - 1; lmkit compress -q -m model.lm - < text | cmp - 1
    cat model.lm | lmkit compress -q text | cmp - 1; lmkit compress -q -m - text < model.lm | cmp - 1
    cat text | lmkit compress -q -m model.lm -o 2; cmp 1 2
    cat 1 | lmkit decompress -q -m model.lm | cmp - text; cat model.lm | lmkit decompress -q 1 | cmp - text
    gzip -c 1 | lmkit decompress -q -m model.lm | cmp - text
    """)
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")


def test_files_that_other_programs_compressed_stay_as_they_are(shell, shelf, write):
    write("model.lm", shelf["byte-witten-bell.lm"].read_bytes())
    done = shell("""
    echo the cat | gzip -n > 1.gz; lmkit compress -q -m model.lm 1.gz | lmkit decompress -q -m model.lm | cmp - 1.gz
    """)
    assert (done.status, done.stderr) == (0, "")


def test_sizes(lmkit, shelf, write):
    """The file has the model's bits and at most 64 more; the model's bits are those of `lmkit ppl`."""
    text = shelf["corpus.txt"]
    model = shelf["modified-kneser-ney-3.lm"]
    (score,) = lmkit("ppl", "--json", "-m", model, text).records
    done = lmkit("compress", "--json", "-m", model, text)
    sizes = json.loads(done.stderr)
    assert list(sizes) == [
        "text_bytes", "compressed_bytes", "bits_per_byte", "model_bits", "lines", "tokens", "escapes", "raw_bytes",
        "signature", "command",
    ]  # fmt: skip
    assert sizes["text_bytes"] == text.stat().st_size
    assert sizes["compressed_bytes"] == len(done.stdout)
    assert sizes["bits_per_byte"] == pytest.approx(8 * len(done.stdout) / text.stat().st_size)
    assert sizes["model_bits"] == pytest.approx(-score["nats"] / math.log(2), abs=1e-3)
    assert sizes["tokens"] + sizes["lines"] == score["tokens"]
    assert sizes["escapes"] == sizes["raw_bytes"] == 0
    assert 8 * len(done.stdout) <= sizes["model_bits"] + 64
    assert sizes["signature"].startswith("kind:ngram|order:3|smoothing:modified-kneser-ney|")
    back = lmkit("decompress", "--json", "-m", model, stdin=done.stdout)
    assert json.loads(back.stderr) == {**sizes, "command": f"lmkit decompress --json -m {model}"}


def test_sizes_for_people(lmkit, shelf, packed):
    model = shelf["witten-bell-3.lm"]
    size = os.path.getsize(packed)
    told = f"lmkit: {len(TEXT)} bytes of text, {size} bytes compressed: {8 * size / len(TEXT):.4g} bits per byte\n"
    assert lmkit("compress", "-m", model, "text").stderr == told
    assert lmkit("decompress", "-m", model, packed).stderr == told
    assert lmkit("compress", "-q", "-m", model, "text").stderr == ""
    detailed = lmkit("compress", "-v", "-m", model, "text").stderr
    assert detailed.startswith(told)
    assert "the model's own bits: " in detailed


def test_nothing_at_all(lmkit, shelf):
    done = lmkit("compress", "-m", shelf["katz-3.lm"])
    assert done.stderr == "lmkit: 0 bytes of text, 5 bytes compressed: 0 bits per byte\n"
    assert lmkit("decompress", "-q", "-m", shelf["katz-3.lm"], stdin=done.stdout).stdout == b""


def test_repetition_is_worth_something(shell):
    """A model of what is compressed finds nothing in the same bytes shuffled."""
    done = shell(
        """
    yes ab | head -c 30000 > ab; lmkit ngram fit -q --tokens byte --order 3 --smoothing wb ab -o ab.lm
    python3 -c 'import random, sys
    b = list(open("ab", "rb").read()); random.seed(1); random.shuffle(b); sys.stdout.buffer.write(bytes(b))' > mixed
    lmkit compress -q -m ab.lm ab | wc -c; lmkit compress -q -m ab.lm mixed | wc -c
    """.replace("\n    b = ", "\nb = ")
    )
    straight, mixed = map(int, done.stdout.split())
    assert straight < 50
    assert mixed > 3_000


# Refusals.


def test_another_model_is_refused(fails, shelf, packed, work):
    done = fails(4, "decompress", "-m", shelf["katz-3.lm"], packed, "-o", "back")
    assert done.stderr == "lmkit decompress: packed: compressed with another model\n"
    assert not (work / "back").exists()
    assert (
        "<stdin>: compressed with"
        in fails(4, "decompress", "-m", shelf["other.lm"], stdin=(work / packed).read_bytes()).stderr
    )


@pytest.mark.parametrize("data", [b"", b"the cat sat on the mat\n", bytes(100), b"\xa9", b"\xa9\0"])
def test_what_lmkit_did_not_compress(data, fails, shelf, work):
    done = fails(3, "decompress", "-m", shelf["katz-3.lm"], "-o", "back", stdin=data)
    assert "<stdin>: " in done.stderr
    assert not (work / "back").exists()


def test_damaged_files(fails, shelf, packed, work):
    whole = (work / packed).read_bytes()
    for wrong in (whole[:-1], whole[:10], whole[:4], whole + b"x", whole[:9] + bytes(9) + whole[18:]):
        (work / "wrong").write_bytes(wrong)
        done = fails(3, "decompress", "-m", shelf["witten-bell-3.lm"], "wrong", "-o", "back")
        assert done.stderr.startswith("lmkit decompress: wrong: damaged")
        assert not (work / "back").exists()


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_wrong_arguments(command, fails, shelf, packed, write):
    model = shelf["witten-bell-3.lm"]
    assert "no model" in fails(2, command).stderr
    assert "stdin is wanted for two things" in fails(2, command, "-m", "-").stderr
    assert fails(2, command, "-m", model, packed, packed).stdout == b""
    assert "none: No such file" in fails(3, command, "-m", model, "none").stderr
    assert "Is a directory" in fails(3, command, "-m", model, ".").stderr
    assert "neither a checkpoint" in fails(4, command, "-m", write("junk", b"junk"), packed).stderr
    assert "not a language model" in fails(4, command, "-m", shelf["counts.lm"], packed).stderr
    assert "would be overwritten" in fails(2, command, "-m", model, packed, "-o", packed).stderr


def test_a_damaged_model_is_told_as_such(fails, shelf, packed, work):
    data = bytearray(shelf["witten-bell-3.lm"].read_bytes())
    data[-200:] = b"\xff" * 200
    (work / "bad.lm").write_bytes(data)
    done = fails(4, "compress", "-m", "bad.lm", "text")
    assert "damaged checkpoint" in done.stderr
    assert "text" not in done.stderr


def test_terminals_get_no_binary_data(shelf, work, write):
    write("text", TEXT)
    main, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "lmkit", "compress", "-m", str(shelf["katz-3.lm"]), "text"],
        stdout=terminal, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, timeout=60,
    )  # fmt: skip
    os.close(terminal)
    os.close(main)
    assert done.returncode == 2
    assert b"binary data is not written to a terminal" in done.stderr


@pytest.mark.slow
def test_readers_may_leave(shell, shelf, write):
    write("model.lm", shelf["byte-witten-bell.lm"].read_bytes())
    write("text", b"the cat sat on the mat\n" * 8_000)
    done = shell("lmkit compress -q -m model.lm text > packed; lmkit decompress -m model.lm packed | head -1")
    assert (done.status, done.stdout, done.stderr) == (0, b"the cat sat on the mat\n", "")
