"""Texts, models and names that are not what they should be: a status, one line, and nothing is destroyed."""

import bz2
import gzip
import lzma
import os
import re

import pytest

READERS = {
    "ppl": ["ppl", "-b", "-m", "model.lm"],
    "score": ["score", "-q", "-b", "-m", "model.lm"],
    "ngram fit": ["ngram", "fit", "-q", "--order", "2", "--smoothing", "wb"],
    "ngram count": ["ngram", "count", "--order", "2"],
    "entropy": ["entropy", "-q", "-b", "--unit-of", "word"],
}
"""Commands that read texts named behind."""
MODELS = {
    "ppl": ["ppl", "-m", "{}", "text.txt"],
    "score": ["score", "-m", "{}", "text.txt"],
    "score --pairs": ["score", "-m", "{}", "--pairs", "text.txt"],
    "entropy": ["entropy", "-m", "{}", "text.txt"],
    "entropy --unit-of": ["entropy", "-m", "{}", "--unit-of", "token", "text.txt"],
    "next": ["next", "-m", "{}"],
    "sample": ["sample", "-m", "{}"],
    "info": ["info", "{}"],
    "info -m": ["info", "-m", "{}"],
    "ngram query": ["ngram", "query", "-m", "{}", "the cat"],
    "ngram prune": ["ngram", "prune", "-m", "{}"],
    "ngram mix": ["ngram", "mix", "-m", "{}", "-m", "model.lm"],
    "ngram export": ["ngram", "export", "{}"],
    "ngram import": ["ngram", "import", "{}"],
}
"""Commands that read a model in place of `{}`."""


@pytest.fixture
def reader(shelf, write):
    """The words of a command that reads texts; its model is there."""
    write("model.lm", shelf["witten-bell-2.lm"].read_bytes())
    return lambda name: READERS[name]


def with_model(name, model):
    return [str(model) if word == "{}" else word for word in MODELS[name]]


# Texts.


@pytest.mark.parametrize("name", READERS)
def test_texts_that_are_not_there(name, reader, fails):
    done = fails(3, *reader(name), "none.txt")
    assert done.stderr == f"lmkit {name}: none.txt: No such file or directory\n"
    assert done.stdout == b""


@pytest.mark.parametrize("name", READERS)
def test_folders_without_texts_are_no_texts(name, reader, fails, work):
    assert f"{work}: a folder without files of text\n  hint: their names end in .txt, " in (
        fails(3, *reader(name), work).stderr
    )
    assert fails(3, *reader(name), "").stdout == b""


@pytest.mark.parametrize("name", ["ppl", "ngram fit", "entropy"])
def test_empty_texts(name, reader, fails, write):
    assert "empty" in fails(3, *reader(name), write("empty.txt", b"")).stderr
    fails(3, *reader(name), "empty.txt", "empty.txt")
    fails(3, *reader(name), write("empty.txt.gz", gzip.compress(b"")))


@pytest.mark.parametrize("name", READERS)
def test_binary_junk(name, reader, fails, write):
    junk = write("junk", bytes(range(256)) * 20)
    assert "junk:2: not UTF-8 (byte 0x80, column 118)" in fails(3, *reader(name), junk).stderr


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("text", "line", "byte", "column"),
    [(b"\xff", 1, "0xff", 1), (b"the cat\nsat \xe9t\xe9\n", 2, "0xe9", 5), (b"\n\n\nab\xc3\n", 4, "0xc3", 3),
     (b"the \xed\xa0\x80\n", 1, "0xed", 5),
     (b"a" * 100_000 + b"\n" + b"b\xf8\n", 2, "0xf8", 2), (b"ok\r\nok\r\n\xfe\r\n", 3, "0xfe", 1),
     ("é".encode() + b"\xa0\n", 1, "0xa0", 3),
     (b"\xc0\x80\n", 1, "0xc0", 1), (b"end\n\xe2\x82", 2, "0xe2", 1)],
)  # fmt: skip
def test_bytes_that_are_not_utf8_are_named(name, text, line, byte, column, reader, fails, write):
    done = fails(3, *reader(name), write("bad.txt", text))
    assert f"bad.txt:{line}: not UTF-8 (byte {byte}, column {column})\n" in done.stderr
    assert "--encoding-errors" in done.stderr
    assert "<stdin>:" in fails(3, *reader(name), stdin=text).stderr


def test_lines_are_counted_over_blocks(reader, fails, write):
    """The bad byte is far behind the first blocks of 1 and 4 MiB."""
    write("bad.txt", b"the cat sat on the mat in the tree\n" * 200_000 + b"a\xff\n")
    for name in ("ppl", "ngram count"):
        assert "bad.txt:200001: not UTF-8 (byte 0xff, column 2)" in fails(3, *reader(name), "bad.txt").stderr


@pytest.mark.parametrize("name", READERS)
def test_bad_bytes_can_be_replaced_and_are_counted(name, reader, lmkit, write):
    write("bad.txt", b"the c\xe9t \xff\xff\nsat \xe2\x82\n")
    write("good.txt", "the c\ufffdt \ufffd\ufffd\nsat \ufffd\n".encode())
    words = [word for word in reader(name) if word != "-q"]
    done = lmkit(*words, "--encoding-errors", "replace", "bad.txt")
    good = lmkit(*words, "good.txt")
    assert done.status == good.status == 0
    assert "4 invalid byte sequences replaced by U+FFFD\n" in done.stderr
    assert "replaced" not in good.stderr
    if name in ("ppl", "score"):
        assert done.stdout == good.stdout
    assert lmkit(*words, "--encoding-errors", "ignore", "bad.txt").status == 2


def test_replacements_are_counted_once_for_several_models(lmkit, reader, write):
    write("bad.txt", b"\xff\n")
    done = lmkit("ppl", "-b", "-m", "model.lm", "-m", "model.lm", "--encoding-errors", "replace", "bad.txt", "bad.txt")
    assert "lmkit: bad.txt: 2 invalid byte sequences replaced by U+FFFD\n" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_utf16_has_a_hint(encoding, reader, fails, write):
    mark = b"" if encoding == "utf-16" else "\ufeff".encode(encoding)
    done = fails(3, *reader("ppl"), write("wide.txt", mark + "the cat\n".encode(encoding)))
    assert "UTF-16" in done.stderr
    assert "iconv" in done.stderr


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbfthe cat\nsat\n", b"the cat\r\nsat\r\n", b"\xef\xbb\xbfthe cat\r\nsat", b"the cat\nsat"]
)
def test_marks_and_line_ends_of_other_systems(name, text, reader, lmkit, write):
    done = lmkit(*reader(name), stdin=text)
    plain = lmkit(*reader(name), stdin=b"the cat\nsat\n")
    assert (done.status, done.stderr) == (0, "")
    if name == "ngram fit":  # the record of the input's bytes differs, nothing else
        write("one.lm", done.stdout)
        write("other.lm", plain.stdout)
        done, plain = lmkit("ngram", "export", "one.lm"), lmkit("ngram", "export", "other.lm")
    assert done.stdout == plain.stdout != b""


def test_a_mark_in_the_middle_is_text(lmkit, write):
    lmkit("ngram", "count", "--order", "1", "-o", "c.lm", stdin="a\n\ufeffa\n".encode())
    assert "\ufeffa\t1\n" in lmkit("ngram", "export", "c.lm").text


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\0"])
def test_only_line_feeds_end_lines(end, lmkit, shelf):
    done = lmkit("score", "--json", "-m", shelf["witten-bell-2.lm"], stdin=f"the{end}cat\n".encode())
    assert done.status == 0
    assert done.stdout.count(b"\n") == 1
    assert done.records[0]["text"] == f"the{end}cat"
    assert done.records[0]["tokens"] == (3 if end in "\r\0" else 2)


def test_spaces_that_are_no_separators(lmkit):
    lmkit("ngram", "count", "--order", "1", "-o", "c.lm", stdin="a\u00a0b c\u3000d\te\x0bf\n".encode())
    table = lmkit("ngram", "export", "c.lm").stdout.decode()
    assert {line.rpartition("\t")[0] for line in table.split("\n")[:-1]} == {
        "<s>",
        "</s>",
        "a\u00a0b",
        "c\u3000d",
        "e\x0bf",
    }


@pytest.mark.few(5)
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_compressed_texts_that_are_damaged(name, pack, reader, fails, write):
    data = pack(b"".join(b"the cat %d\n" % number for number in range(2000)))
    for damaged in (
        data[: len(data) // 2],
        data[:-1],
        data[:20],
        data[: len(data) // 2] + b"\0\xff" * 50 + data[len(data) // 2 :],
    ):
        done = fails(3, *reader(name), write("bad.z", damaged))
        assert "bad.z: bad compressed data" in done.stderr
    assert "<stdin>: bad compressed data" in fails(3, *reader(name), stdin=data[:-1]).stderr


def test_what_only_begins_like_something_compressed(reader, lmkit, write):
    """`BZh` can begin a text; what begins with gzip's two bytes can't."""
    assert lmkit(*reader("ppl"), write("text.txt", b"BZh is what bzip2 begins with\n")).status == 0
    assert lmkit(*reader("ppl"), write("text.txt", b"\x1f\x8b")).status == 3


@pytest.mark.parametrize(
    "name",
    [
        "ngram coverage",
        "ngram mix",
        "ngram fit --heldout",
        "ngram fit --vocab",
        "score --pairs",
        "ngram import --counts",
        "--config",
    ],
)
def test_other_texts_that_are_wrong(name, fails, shelf, write, work):
    write("bad.txt", b"the\xff cat\n")
    (work / "folder").mkdir()
    text, two = shelf["corpus.txt"], ["-m", shelf["witten-bell-2.lm"], "-m", shelf["other.lm"]]
    commands = {
        "ngram coverage": ["ngram", "coverage", text, "{}"], "ngram mix": ["ngram", "mix", *two, "--tune", "{}"],
        "ngram fit --heldout": ["ngram", "fit", "--smoothing", "interp", "--heldout", "{}", text],
        "ngram fit --vocab": ["ngram", "fit", "--vocab", "{}", text],
        "score --pairs": ["score", "-q", *two[:2], "--pairs", "{}"],
        "ngram import --counts": ["ngram", "import", "--counts", "{}"],
        "--config": ["ngram", "fit", "--config", "{}", text],
    }  # fmt: skip
    for bad in ("bad.txt", "none.txt", "folder"):
        done = fails(
            2 if (name, bad) == ("--config", "bad.txt") else 3,
            *(bad if word == "{}" else word for word in commands[name]),
        )
        assert f"{bad}:" in done.stderr


# Models.


@pytest.mark.parametrize("name", MODELS)
def test_models_that_are_not_there(name, fails, shelf, write):
    write("text.txt", b"a\tb\n")
    write("model.lm", shelf["witten-bell-2.lm"].read_bytes())
    assert ": none.lm: No such file or directory\n" in fails(3, *with_model(name, "none.lm")).stderr
    stderr = fails(4, *with_model(name, ".")).stderr
    assert ": .: no config.json in the folder\n" in stderr or ": .: no tokenizer in the folder" in stderr


@pytest.mark.few(10)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "data",
    [b"", b"the cat sat\n", b"{}", bytes(range(256)) * 4, b"\0" * 100, gzip.compress(b"the cat\n")],
    ids=["empty", "text", "json", "junk", "zeros", "gz"],
)
def test_files_that_are_no_models(name, data, fails, shelf, write):
    write("text.txt", b"a\tb\n")
    write("model.lm", shelf["witten-bell-2.lm"].read_bytes())
    done = fails(4, *with_model(name, write("bad.lm", data)))
    assert f"lmkit {name.partition(' -')[0]}: bad.lm: " in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("name", [name for name in MODELS if not re.search("info|export|unit-of", name)])
def test_count_files_are_no_models(name, fails, shelf, write):
    write("text.txt", b"a\tb\n")
    write("model.lm", shelf["witten-bell-2.lm"].read_bytes())
    done = fails(4, *with_model(name, shelf["counts.lm"]))
    assert "ngram-counts" in done.stderr
    if name in ("ppl", "score", "next", "sample"):
        assert "--from-counts" in done.stderr


def test_models_are_no_count_files(fails, shelf):
    for model in ("witten-bell-2.lm", "by-hand.arpa"):
        assert "of kind ngram" in fails(4, "ngram", "merge", shelf["counts.lm"], shelf[model]).stderr
        assert "of kind ngram" in fails(4, "ngram", "fit", "--from-counts", shelf[model]).stderr
    assert "neither" in fails(4, "ngram", "merge", shelf["corpus.txt"]).stderr
    assert "neither" in fails(4, "ngram", "fit", "--from-counts", shelf["corpus.txt"]).stderr


@pytest.mark.parametrize("name", READERS)
def test_models_are_no_texts(name, reader, fails):
    assert "model.lm:1: not UTF-8" in fails(3, *reader(name), "model.lm").stderr


def test_compressed_models_that_are_damaged(fails, shelf, write):
    data = gzip.compress(shelf["witten-bell-2.lm"].read_bytes())
    assert "bad compressed data" in fails(3, "next", "-m", write("bad.lm.gz", data[:-20])).stderr


def test_kinds_of_the_future(fails, packed, write):
    bad = write("new.lm", packed({"__metadata__": {"lmkit": '{"format":1,"kind":"hologram"}'}}))
    assert "hint: update lmkit" in fails(4, "next", "-m", bad).stderr
    bad = write("new.lm", packed({"__metadata__": {"lmkit": '{"format":9,"kind":"ngram"}'}}))
    assert "hint: update lmkit" in fails(4, "next", "-m", bad).stderr
    bad = write("other.lm", packed({"x": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}))
    assert "not an lmkit checkpoint" in fails(4, "next", "-m", bad).stderr


# Who gets stdin.


def test_no_model_at_all(fails):
    for name in ("ppl", "score"):
        assert "-m MODEL" in fails(2, name).stderr


@pytest.mark.parametrize(
    "words",
    [["ppl", "-m", "-"], ["ppl", "-m", "-", "-"], ["ppl", "-"], ["ppl", "-m", "{}", "-", "-"],
     ["ppl", "-m", "-", "-m", "-", "text.txt"],
     ["score", "-m", "-", "-"], ["score", "-m", "-", "--pairs", "-"], ["ngram", "merge", "-", "-"],
     ["ngram", "fit", "-", "-"],
     ["ngram", "count", "-", "text.txt", "-"], ["ngram", "fit", "--heldout", "-", "--smoothing", "interp"],
     ["ngram", "fit", "--vocab", "-"], ["ngram", "count", "--vocab", "-", "-"], ["ngram", "coverage", "-", "-"],
     ["entropy", "-", "-"], ["entropy", "--text", "-", "-"], ["entropy", "--against", "-", "-"],
     ["entropy", "-m", "-"], ["calc", "entropy", "-", "-"],
     ["ngram", "query", "-m", "-", "-"], ["ngram", "mix", "-m", "-", "-m", "-"]],
    ids=" ".join,
)  # fmt: skip
def test_stdin_can_be_one_thing_only(words, fails, shelf, write):
    write("text.txt", b"the cat\n")
    model = shelf["witten-bell-2.lm"]
    done = fails(2, *(model if word == "{}" else word for word in words), stdin=model.read_bytes())
    assert "stdin" in done.stderr


def test_things_named_twice(fails, shelf):
    for name in ("info", "ngram export"):
        assert "twice" in fails(2, *name.split(), shelf["juan.lm"], "-m", shelf["juan.lm"]).stderr


# Outputs that are inputs.

OVERWRITING = {
    "ppl": ["ppl", "-m", "model.lm", "text.txt"],
    "score": ["score", "-m", "model.lm", "text.txt"],
    "score --pairs": ["score", "-m", "model.lm", "--pairs", "pairs.tsv"],
    "entropy": ["entropy", "-m", "model.lm", "text.txt"],
    "entropy --text": ["entropy", "--text", "text.txt", "--against", "dev.txt"],
    "entropy --joint": ["entropy", "--joint", "pairs.tsv"],
    "calc entropy": ["calc", "entropy", "text.txt"],
    "calc attention": ["calc", "attention", "text.txt"],
    "embed --bow": ["embed", "--bow", "text.txt"],
    "data next": ["data", "next", "text.txt"],
    "data next --tokens": ["data", "next", "--tokens", "model.lm", "text.txt"],
    "next": ["next", "-m", "model.lm"],
    "sample": ["sample", "-m", "model.lm"],
    "info": ["info", "model.lm"],
    "ngram fit": ["ngram", "fit", "text.txt"],
    "ngram fit --from-counts": ["ngram", "fit", "--order", "2", "--from-counts", "counts.lm"],
    "ngram fit --heldout": ["ngram", "fit", "text.txt", "--smoothing", "interp", "--heldout", "dev.txt"],
    "ngram fit --vocab": ["ngram", "fit", "text.txt", "--vocab", "words.txt"],
    "ngram count": ["ngram", "count", "text.txt"],
    "ngram merge": ["ngram", "merge", "counts.lm", "counts.lm"],
    "ngram query": ["ngram", "query", "-m", "model.lm", "the"],
    "ngram prune": ["ngram", "prune", "-m", "model.lm"],
    "ngram mix": ["ngram", "mix", "-m", "model.lm", "-m", "model.lm", "--tune", "dev.txt"],
    "ngram coverage": ["ngram", "coverage", "text.txt", "dev.txt"],
    "ngram import": ["ngram", "import", "model.lm"],
    "ngram export": ["ngram", "export", "model.lm"],
}


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("name", "target"),
    [(name, word) for name, words in OVERWRITING.items() for word in dict.fromkeys(words) if "." in word],
)
def test_an_input_is_never_overwritten(name, target, fails, shelf, write, work):
    write("model.lm", shelf["witten-bell-2.lm"].read_bytes())
    write("counts.lm", shelf["counts.lm"].read_bytes())
    for file, text in {
        "text.txt": b"the cat\n",
        "dev.txt": b"a cat\n",
        "words.txt": b"cat\n",
        "pairs.tsv": b"a\tb\n",
    }.items():
        write(file, text)
    os.symlink(target, "link")
    os.link(target, "same")
    before = (work / target).read_bytes()
    for spelling in (target, f"./{target}", "link", "same", work / target):
        done = fails(2, *OVERWRITING[name], "-q", "-o", spelling)
        assert "overwritten" in done.stderr
        assert (work / target).read_bytes() == before
        assert done.stdout == b""
    assert os.path.islink("link")


def test_a_failure_leaves_the_old_output(fails, shelf, write, work):
    write("out", b"old")
    write("bad.txt", b"\xff\n")
    fails(3, "ngram", "fit", "bad.txt", "-o", "out")
    fails(3, "ppl", "-m", shelf["juan.lm"], "bad.txt", "-o", "out")
    fails(4, "ngram", "export", "bad.txt", "-o", "out")
    assert (work / "out").read_bytes() == b"old"
    assert sorted(os.listdir(work)) == ["bad.txt", "out"]


@pytest.mark.parametrize("target", ["none/out", "", "text.txt/out", "x" * 300])
def test_outputs_that_can_not_be(target, fails, shelf, write):
    write("text.txt", b"the cat\n")
    for words in (["ngram", "count", "text.txt"], ["next", "-m", shelf["juan.lm"]]):
        done = fails(74, *words, "-o", target)
        assert done.stdout == b""


@pytest.mark.parametrize("target", [".", "./", "out/", "/"])
def test_folders_are_no_outputs(target, fails, shelf):
    assert "folder" in fails(2, "next", "-m", shelf["juan.lm"], "-o", target).stderr


def test_a_file_of_a_folder_that_is_read_is_an_input(fails, lmkit, shelf, work):
    (work / "shards").mkdir()
    (work / "shards" / "a.txt").write_bytes(b"the cat\n")
    assert "would be overwritten" in fails(2, "ngram", "count", "shards", "-o", "shards/a.txt").stderr
    assert (
        "would be overwritten"
        in fails(2, "ngram", "coverage", "shards", shelf["juan.txt"], "-o", "shards/a.txt").stderr
    )
    assert lmkit("ngram", "count", "shards", "-q", "-o", "shards/b.txt").status == 0


def test_a_cache_is_not_an_output_too(fails, lmkit, shelf, write):
    command = ["prompt", "answer", "-m", shelf["juan.lm"], "--labels", "yo,no", "--prompt", "yo ", "--cache", "c"]
    assert lmkit(*command).status == 0
    assert "would be overwritten" in fails(2, *command, "-o", "c").stderr


@pytest.mark.parametrize(
    ("command", "how"),
    [
        (["ppl", "test.txt"], "-m MODEL"), (["ppl"], "-m MODEL"), (["score", "test.txt"], "-m MODEL"),
        (["sample"], "-m MODEL"), (["next"], "-m MODEL"), (["bpe", "encode", "test.txt"], "-m MODEL"),
        (["w2v", "similar", "a"], "-m MODEL"), (["info"], "MODEL"), (["convert"], "INPUT"),
    ],
)  # fmt: skip
def test_without_a_model_the_message_says_how_to_give_one(fails, write, monkeypatch, command, how):
    write("test.txt", b"a\n")
    assert f"no model: give {how}, or pipe one in" in fails(2, *command).stderr
    monkeypatch.setattr("lmkit.commands.loading.models.is_terminal", lambda _stream: True)
    assert f"no model: give {how}, or pipe one in" in fails(2, *command, stdin=b"typed").stderr
