"""`lmkit bpe`: train, count, encode, decode."""

import gzip
import io
import json
import os
import random
import re

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lmkit import checkpoint
from lmkit.data.builtin_text import sentences
from lmkit.tokenization import tokenizers

PROSE = "".join(sentence + "\n" for sentence in sentences()).encode()
TOY = b"low 5\nlower 2\nnewest 6\nwidest 3\n"
MESS = "a\0b  \r\n\n😀 \xff".encode() + b"\xff\xf0\x9f\x98\n \t\x0b\xe2\x80\xa8\n\n[MASK]</s>no end"
SPECIALS = ("[MASK]", "[CLS]", "<extra_id_0>", "[INST]")


@pytest.fixture(scope="module")
def trained(lmkit, tmp_path_factory):
    """Names of tokenizers by what they were made of, each trained once."""
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "prose.txt").write_bytes(PROSE)
    (folder / "toy.txt").write_bytes(TOY)
    special = [word for name in SPECIALS for word in ("--special", name)]
    for name, command in {
        "bytes.lm": ["--vocab-size", 700, *special, folder / "prose.txt"],
        "gpt4.lm": ["--vocab-size", 500, "--pattern", "gpt4", folder / "prose.txt"],
        "none.lm": ["--vocab-size", 500, "--pattern", "none", folder / "prose.txt"],
        "own.lm": ["--vocab-size", 300, "--pattern", "[a-z]+|[^a-z]", folder / "prose.txt"],
        "words.lm": ["--vocab-size", 300, "--level", "char", folder / "prose.txt"],
        "toy.lm": ["--vocab-size", 24, "--level", "char", "--from-counts", folder / "toy.txt"],
    }.items():
        done = lmkit("bpe", "train", "-q", *command, "-o", folder / name)
        assert (done.status, done.stdout, done.stderr) == (0, b"", ""), done.stderr
    return lambda name: folder / name


@pytest.fixture
def model(trained, work):
    """A byte-level tokenizer in the working directory."""
    (work / "bpe.lm").write_bytes(trained("bytes.lm").read_bytes())
    return "bpe.lm"


@pytest.fixture
def quietly(lmkit):
    """The standard output of a command that has nothing to say."""

    def quietly(*arguments, stdin=b""):
        done = lmkit("bpe", *arguments, stdin=stdin)
        assert (done.status, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return quietly


def tokenizer_of(data):
    return tokenizers.load(checkpoint.parse(data))


# train


def test_the_merges_of_sennrich_et_al(trained, quietly):
    tokenizer = tokenizer_of(trained("toy.lm").read_bytes())
    shown = [piece.decode().replace(" ", "</w>") for piece in tokenizer.vocabulary.pieces()]
    assert [f"{shown[left]} {shown[right]}" for left, right, _ in tokenizer.merges.pairs.tolist()] == [
        "e s", "es t", "est </w>", "l o", "lo w", "n e", "ne w", "new est</w>", "low </w>", "w i",
    ]  # fmt: skip
    pieces = quietly("encode", "-m", trained("toy.lm"), "--as", "pieces", stdin=b"low lowest newer\n\nwidest")
    assert pieces == b"low</w> low est</w> new e r </w>\n\nwi d est</w>\n"


@pytest.mark.parametrize("size", [300, 261, 259])
def test_the_size_is_exactly_the_one_asked_for(size, quietly):
    model = quietly("train", "-q", "--vocab-size", size, stdin=PROSE[:20_000])
    assert tokenizer_of(model).size == size


def test_a_size_that_can_not_be_reached_names_the_largest(fails, quietly, write, work):
    write("text.txt", b"low low lower newest\n" * 3)
    for options in ([], ["--level", "char"], ["--min-frequency", "4"]):
        command = ["train", "-q", *options, "text.txt"]
        done = fails(3, "bpe", *command, "--vocab-size", 40_000, "-o", "bpe.lm")
        assert not (work / "bpe.lm").exists()
        largest = int(re.fullmatch(r".* merges for (\d+)", done.stderr.split("\n")[0])[1])
        assert f"--vocab-size {largest}" in done.stderr
        assert tokenizer_of(quietly(*command, "--vocab-size", largest)).size == largest
        fails(3, "bpe", *command, "--vocab-size", largest + 1)
    assert "--vocab-size 259" in fails(3, "bpe", "train", "--vocab-size", 100, "text.txt").stderr


def test_texts_may_come_in_any_way(quietly, write, shell):
    write("one.txt", PROSE[:30_000])
    write("two.txt.gz", gzip.compress(PROSE[30_000:60_000]))
    command = ["train", "-q", "--vocab-size", "400"]
    wanted = quietly(*command, stdin=PROSE[:60_000])
    assert quietly(*command, "-", stdin=PROSE[:60_000]) == wanted
    made = quietly(*command, "one.txt", "two.txt.gz")
    for files in (made, quietly(*command, "one.txt", "-", stdin=PROSE[30_000:60_000])):
        assert tokenizer_of(files).digest == tokenizer_of(wanted).digest
    quietly(*command, "one.txt", "two.txt.gz", "-o", "bpe.lm")
    assert shell("cat bpe.lm").stdout == made
    piped = shell("cat one.txt <(zcat two.txt.gz) | lmkit bpe train -q --vocab-size 400 | cat")
    assert (piped.status, piped.stdout) == (0, wanted)


def test_counts_of_shards_are_those_of_the_whole(quietly, write):
    cut = PROSE.index(b"\n", 40_000) + 1
    write("one.txt", PROSE[:cut])
    write("two.txt", PROSE[cut:90_000])
    write("all.txt", PROSE[:90_000])
    for options in ([], ["--level", "char"], ["--pattern", "gpt4", "--normalize", "nfkc,lowercase"]):
        for name in ("one", "two", "all"):
            quietly("count", "-q", *options, f"{name}.txt", "-o", f"{name}.lm")
        command = ["train", "-q", "--vocab-size", 400]
        wanted = tokenizer_of(quietly(*command, *options, "all.txt"))
        for files in (["all.lm"], ["one.lm", "two.lm"]):
            assert tokenizer_of(quietly(*command, "--from-counts", *files)).digest == wanted.digest


def test_counts_of_different_makes_do_not_add_up(quietly, fails, write):
    write("text.txt", PROSE[:500])
    quietly("count", "-q", "text.txt", "-o", "one.lm")
    quietly("count", "-q", "--pattern", "none", "text.txt", "-o", "two.lm")
    assert "two.lm" in fails(3, "bpe", "train", "--from-counts", "one.lm", "two.lm").stderr


@pytest.mark.parametrize(
    ("counts", "status", "message"),
    [
        (b"", 3, "empty"),
        (b"low 5\nlower\n", 3, "line 2 is not a word and its count"),
        (b"low five\n", 3, "line 1"),
        (b"\n", 3, "line 1"),
        (b"low 3\n\xff 3\n", 3, "line 2: '\ufffd' is not one word of UTF-8"),
        (b"to go 3\n", 3, "line 1: 'to go' is not one word"),
        (PROSE[:200], 3, "line 1"),
    ],
)
def test_counts_that_are_none(counts, status, message, fails, write):
    write("counts.txt", counts)
    for level in ("byte", "char"):
        if level == "byte" and "not one word" in message:
            continue
        done = fails(status, "bpe", "train", "--from-counts", "--level", level, "--vocab-size", 300, "counts.txt")
        assert message in done.stderr


def test_a_model_is_no_counts(fails, shelf):
    assert "expected counts" in fails(4, "bpe", "train", "--from-counts", shelf["counts.lm"]).stderr


@pytest.mark.parametrize("command", ["train", "count"])
@pytest.mark.parametrize("text", [b"", "\ufeff".encode()])
def test_nothing_to_learn_from(command, text, fails):
    if text and command == "count":
        return
    assert "empty" in fails(3, "bpe", command, "-q", "--level", "char", stdin=text).stderr
    assert "empty" in fails(3, "bpe", command, "-q", stdin=b"").stderr


def test_words_must_be_text(fails, quietly, write):
    write("text.txt", b"fine\nnot \xff\n")
    for command in ("train", "count"):
        assert "text.txt:2" in fails(3, "bpe", command, "-q", "--level", "char", "text.txt").stderr
        quietly(command, "-q", *["--vocab-size", 260][: 2 * (command == "train")], "text.txt")


def test_settings_are_read_back(quietly, write):
    write("text.txt", PROSE[:30_000])
    train = [
        "train", "--vocab-size", 300, "--pattern", "[a-z]+|.", "--special", "[M]", "--special", "<x>", "--normalize",
        "nfc,lowercase", "--min-frequency", 2,
    ]  # fmt: skip
    write("train.yaml", quietly(*train, "--print-config"))
    model = quietly(*train, "-q", "text.txt", "-o", "bpe.lm") or (quietly(*train, "-q", "text.txt"))
    assert quietly("train", "-q", "-c", "train.yaml", "text.txt") == model
    assert quietly("train", "-c", "train.yaml", "--print-config") == quietly(*train, "--print-config")
    encode = ["encode", "-m", "bpe.lm", "--as", "pieces", "--marker", "▁", "--dropout", 0.2, "--seed", 7]
    write("encode.yaml", quietly(*encode, "--print-config"))
    assert quietly("encode", "-c", "encode.yaml", "text.txt") == quietly(*encode, "text.txt")
    write("decode.yaml", quietly("decode", "--as", "pieces", "--marker", "▁", "--print-config"))
    assert b"decode" in quietly("decode", "-c", "decode.yaml", stdin=b"de code\n")


# encode, decode: ids


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["bytes.lm", "gpt4.lm", "none.lm", "own.lm"])
@settings(max_examples=15)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=30).map(str.encode)))
@example(MESS)
@example(b"")
@example(b"\n")
@example(b"\n\n")
@example(b"\r\n")
@example(bytes(range(256)))
def test_any_bytes_come_back(name, trained, quietly, text):
    assume(
        not text.startswith((b"PAR1", b"{", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
    )  # of other formats
    ids = quietly("encode", "-m", trained(name), stdin=text)
    assert ids.count(b"\n") == text.count(b"\n")
    assert not ids.strip(b"0123456789 \n")
    assert quietly("decode", "-m", trained(name), stdin=ids) == text
    for marker in ("Ġ", "▁"):
        pieces = quietly("encode", "-m", trained(name), "--as", "pieces", "--marker", marker, stdin=text)
        lines = [len(line.split()) for line in pieces.split(b"\n")]
        assert lines == [len(line.split()) for line in ids.split(b"\n")]
        back = quietly("decode", "--as", "pieces", "--marker", marker, stdin=pieces)
        assert back == (text if text.endswith(b"\n") or not ids else text + b"\n")


@pytest.mark.slow
def test_any_bytes_come_back_through_pipes(shell, model, write):
    write("mess.bin", MESS + random.Random(0).randbytes(3000))
    done = shell("lmkit bpe encode -m bpe.lm mess.bin | lmkit bpe decode -m bpe.lm | cmp - mess.bin")
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")
    done = shell("lmkit bpe encode -m - mess.bin < bpe.lm | lmkit bpe decode bpe.lm -m - <(cat) 2>&1 | head -1")
    assert b"Traceback" not in done.stdout
    done = shell("yes some text of lines | lmkit bpe encode -m bpe.lm | head -1")
    assert (done.status, done.stderr, done.stdout.count(b"\n")) == (0, "", 1)
    done = shell("yes 300 301 | lmkit bpe decode -m bpe.lm | head -1")
    assert (done.status, done.stderr, done.stdout.count(b"\n")) == (0, "", 1)


def test_every_way_to_name_texts_and_models(quietly, model, write):
    write("one.txt", PROSE[:1000])
    write("two.txt", PROSE[1000:2000])
    wanted = quietly("encode", "-m", model, stdin=PROSE[:2000])
    assert quietly("encode", "-m", model, "one.txt", "two.txt") == wanted
    assert quietly("encode", "-m", model, "-", "two.txt", stdin=PROSE[:1000]) == wanted
    with open(model, "rb") as file:
        data = file.read()
    assert quietly("encode", "one.txt", "two.txt", stdin=data) == wanted
    assert quietly("encode", "-m", "-", "one.txt", "two.txt", stdin=data) == wanted
    write("ids.txt", wanted)
    assert quietly("decode", "ids.txt", stdin=data) == PROSE[:2000]
    assert quietly("decode", "-m", model, "ids.txt", "-o", "back.txt") == b""
    with open("back.txt", "rb") as file:
        assert file.read() == PROSE[:2000]


def test_ids_are_those_of_the_tokenizer(quietly, trained):
    tokenizer = tokenizer_of(trained("bytes.lm").read_bytes())
    text = PROSE[:50_000]
    lines = quietly("encode", "-m", trained("bytes.lm"), stdin=text).decode().split("\n")
    assert [[int(token) for token in line.split()] for line in lines] == [
        tokenizer.encode(line).tolist() for line in text.split(b"\n")
    ]


def test_the_same_command_gives_the_same_bytes(quietly, model, write):
    write("text.txt", PROSE * 8)
    for options in (["encode", "-m", model], ["encode", "-m", model, "--dropout", 0.1], ["train", "--vocab-size", 300]):
        assert quietly(*options, "-q", "text.txt") == quietly(*options, "-q", stdin=PROSE * 8)


def test_json(quietly, trained, lmkit):
    records = [
        json.loads(line) for line in quietly("encode", "-m", trained("bytes.lm"), "--json", stdin=MESS).splitlines()
    ]
    tokenizer = tokenizer_of(trained("bytes.lm").read_bytes())
    lines = MESS.split(b"\n")
    assert [list(record) for record in records] == [["line", "ids", "pieces", "unknown"]] * len(lines)
    assert [record["line"] for record in records] == list(range(1, len(lines) + 1))
    assert [record["ids"] for record in records] == [tokenizer.encode(line).tolist() for line in lines]
    assert records[-1]["pieces"][-1] == tokenizer.piece(records[-1]["ids"][-1]).decode()
    done = lmkit("bpe", "encode", "-m", trained("toy.lm"), "--json", stdin=b"low xx\n\nx")
    assert [record["unknown"] for record in done.records] == [2, 0, 1]
    assert quietly("encode", "-m", trained("bytes.lm"), "--json", stdin=b"") == b""


def test_words_of_characters(lmkit, quietly, trained):
    text = b"the  statement\t is\n\nexecuted \r\n"
    ids = quietly("encode", "-m", trained("words.lm"), stdin=text)
    assert quietly("decode", "-m", trained("words.lm"), stdin=ids) == b"the statement is\n\nexecuted\n"
    done = lmkit("bpe", "encode", "-m", trained("toy.lm"), stdin=b"low xyz")
    assert (done.status, done.stderr) == (0, "lmkit: 3 unknown tokens\n")
    assert lmkit("bpe", "encode", "-q", "-m", trained("toy.lm"), stdin=b"low xyz").stderr == ""


def test_dropout(quietly, model):
    plain = quietly("encode", "-m", model, stdin=PROSE[:3000])
    once = quietly("encode", "-m", model, "--dropout", 0.3, stdin=PROSE[:3000])
    assert once == quietly("encode", "-m", model, "--dropout", 0.3, "--seed", 0, stdin=PROSE[:3000])
    other = quietly("encode", "-m", model, "--dropout", 0.3, "--seed", 1, stdin=PROSE[:3000])
    assert len({plain, once, other}) == 3
    assert quietly("encode", "-m", model, "--dropout", 0, "--seed", 1, stdin=PROSE[:3000]) == plain
    for ids in (once, other, quietly("encode", "-m", model, "--dropout", 1, stdin=PROSE[:3000])):
        assert quietly("decode", "-m", model, stdin=ids) == PROSE[:3000]
    assert len(ids.split()) == len(PROSE[:3000].replace(b"\n", b""))


# Special tokens.


@pytest.mark.parametrize("name", SPECIALS)
def test_special_tokens_are_parsed_only_when_asked(name, quietly, model):
    token = 3 + SPECIALS.index(name)
    text = f"a {name}b{name}{name} <s>".encode()
    plain = quietly("encode", "-m", model, stdin=text)
    assert not {*map(int, plain.split())} & {*range(3 + len(SPECIALS))}
    assert quietly("decode", "-m", model, stdin=plain) == text
    parsed = quietly("encode", "-m", model, "--parse-special", stdin=text)
    sides = [quietly("encode", "-m", model, stdin=side).split() for side in (b"a ", b"b", b" ")]
    mark = b"%d" % token
    assert parsed.split() == [*sides[0], mark, *sides[1], mark, mark, *sides[2], b"1"]
    assert quietly("decode", "-m", model, stdin=parsed) == text


# Lists of pieces.

PIECES = {
    "#": "Ellos jug #aban basket #ball", "##": "Ellos jug ##aban basket ##ball", "@@": "Ellos jug@@ aban basket@@ ball",
    "▁": "▁Ellos ▁jug aban ▁basket ball", "Ġ": "ĠEllos Ġjug aban Ġbasket ball",
    "</w>": "Ellos</w> jug aban</w> basket ball</w>",
}  # fmt: skip


@pytest.mark.parametrize("marker", PIECES)
def test_words_fall_into_listed_pieces(marker, quietly, write):
    rows = zip(PIECES[marker].split(), (32, 5, 1856, 957, 646), strict=True)
    write("v.tsv", "".join(f"{piece}\t{token}\n" for piece, token in rows).encode())
    command = ["encode", "--vocab", "v.tsv", "--marker", marker]
    assert quietly(*command, stdin=b"Ellos jugaban basketball\n") == b"32 5 1856 957 646\n"
    pieces = quietly(*command, "--as", "pieces", stdin=b"Ellos jugaban basketball\n")
    assert pieces.decode() == PIECES[marker] + "\n"
    back = quietly("decode", "--as", "pieces", "--marker", marker, stdin=pieces)
    assert back.strip() == b"Ellos jugaban basketball"


def test_words_that_are_not_listed_are_unknown(lmkit, fails, quietly, write):
    write("v.tsv", b"Yo\t20\ntengo\t1430\nun\t132\nperro\t6\n<UNK>\t1\n")
    command = ["encode", "--vocab", "v.tsv", "--unknown", "<UNK>"]
    assert quietly(*command, stdin=b"Yo tengo un perro") == b"20 1430 132 6\n"
    done = lmkit("bpe", *command, stdin=b"Yo tengo un gato\n\nperros\n")
    assert (done.status, done.stdout, done.stderr) == (0, b"20 1430 132 1\n\n1\n", "lmkit: 2 unknown tokens\n")
    done = lmkit("bpe", *command, "--json", stdin=b"gato un\n")
    assert done.records == [{"line": 1, "ids": [1, 132], "pieces": ["<UNK>", "un"], "unknown": 1}]
    assert "not listed" in fails(3, "bpe", "encode", "--vocab", "v.tsv", "--unknown", "<unk>", stdin=b"a").stderr
    write("v.txt", b"Yo\ntengo\n")
    assert quietly("encode", "--vocab", "v.txt", stdin=b"tengo Yo") == b"1 0\n"
    assert "--unknown" in fails(3, "bpe", "encode", "--vocab", "v.txt", stdin=b"gato").stderr


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (b"", "v.tsv: no pieces"),
        (b"a\t1\nb\tx\n", "v.tsv:2: "),
        (b"a\t1\n\n", "v.tsv:2: "),
        (b"a\t1\na\t2\n", "v.tsv:2: 'a' is listed twice"),
        (b"a\t1\nb\t1\n", "same id"),
        (b"a\t99999999999\n", "v.tsv:1: "),
        (b"a\t-1\n", "v.tsv:1: "),
        (b"\xff\t1\n", "v.tsv:1"),
    ],
)
def test_lists_that_are_none(listing, message, fails, write):
    write("v.tsv", listing)
    assert message in fails(3, "bpe", "encode", "--vocab", "v.tsv", stdin=b"a\n").stderr


def test_pieces_that_are_rare_fall_apart(quietly, fails, trained, write):
    command = ["encode", "-m", trained("toy.lm"), "--as", "pieces"]
    write("v.tsv", b"low</w> 9\nlow 2\nest</w> 5\nnewest</w> 1\n")
    assert quietly(*command, "--vocab", "v.tsv", "--vocab-threshold", 3, stdin=b"low lowest newest") == (
        b"low</w> l o w est</w> n e w est</w>\n"
    )
    assert quietly(*command, "--vocab", "v.tsv", stdin=b"low lowest newest") == b"low</w> low est</w> newest</w>\n"


# Arrays.


@pytest.mark.few(4)
@pytest.mark.parametrize("name", ["bytes.lm", "gpt4.lm", "none.lm", "own.lm"])
@pytest.mark.parametrize("text", [MESS, b"", b"\n", PROSE[:5000]], ids=["mess", "empty", "line", "prose"])
def test_arrays_are_mapped_and_come_back(name, text, quietly, trained, write):
    write("text.bin", text)
    quietly("encode", "-m", trained(name), "--as", "npy", "text.bin", "-o", "ids.npy")
    array = np.load("ids.npy", mmap_mode="r") if text else np.load("ids.npy")
    assert (array.dtype, array.ndim) == (np.dtype("<u2"), 1)
    tokenizer = tokenizer_of(trained(name).read_bytes())
    assert tokenizer.decode(array.tolist()) == text
    assert quietly("decode", "-m", trained(name), "--as", "npy", "ids.npy") == text
    piped = quietly("encode", "-m", trained(name), "--as", "npy", stdin=text)
    with open("ids.npy", "rb") as file:
        assert file.read() == piped
    assert quietly("decode", "-m", trained(name), "--as", "npy", stdin=piped) == text
    ids = np.load(io.BytesIO(quietly("encode", "-m", trained(name), "--as", "npy", "--dropout", 0.5, "text.bin")))
    assert tokenizer.decode(ids.tolist()) == text


def test_lines_of_words_end_in_arrays(quietly, trained):
    data = quietly("encode", "-m", trained("toy.lm"), "--as", "npy", stdin=b"low\n\nlower newest\n")
    assert np.load(io.BytesIO(data)).tolist().count(2) == 3
    assert quietly("decode", "-m", trained("toy.lm"), "--as", "npy", stdin=data) == b"low\n\nlower newest\n"


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an array"),
        (b"1 2 3\n", "not an array"),
        (saved(np.zeros(3)), "not an array"),
        (saved(np.zeros((2, 2), dtype=np.int32)), "not an array"),
        (saved(np.arange(500, dtype=np.int32))[:-1], "not an array"),
        (saved(np.array([5, 700], dtype=np.int32)), "element 1 is 700, outside the vocabulary of 700"),
        (saved(np.array([-1], dtype=np.int64)), "element 0 is -1"),
        (saved(np.array([5, 2**64 - 1], dtype=np.uint64)), "element 1 is "),
        (saved(np.array([{}], dtype=object)), "not an array"),
    ],
)
def test_arrays_that_are_none(data, message, fails, model, write):
    write("ids.npy", data)
    done = fails(3, "bpe", "decode", "-m", model, "--as", "npy", "ids.npy")
    assert "ids.npy" in done.stderr
    assert message in done.stderr


# Wrong input.


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (b"300\n301 700\n", "ids.txt:2: id 700 is outside the vocabulary of 700"),
        (b"300\n\n99999999999999999999999999\n", "ids.txt:3: id "),
        (b"4 x\n", "ids.txt:1: 'x' is not an id"),
        (b"4\n-1\n", "ids.txt:2: '-1' is not an id"),
        (b"4\n1.5\n", "ids.txt:2: '1.5' is not an id"),
        (b"\xff\n", "ids.txt:1: "),
        (b"3\0\n", "ids.txt:1: "),
        (b"9" * 500, "ids.txt:1: "),
        (b"3\n" * 40_000 + b"701", "ids.txt:40001: id 701"),
        ("٣\n".encode(), "ids.txt:1: "),
    ],
)
def test_ids_that_are_none(ids, message, fails, model, write):
    write("ids.txt", ids)
    assert message in fails(3, "bpe", "decode", "-m", model, "ids.txt").stderr


def test_ids_of_nothing(quietly, model):
    for ids in (b"", b"\n", b"\n\n"):
        assert quietly("decode", "-m", model, stdin=ids) == ids
    assert quietly("decode", "-m", model, stdin=b"  300\t301 \r\n") == quietly(
        "decode", "-m", model, stdin=b"300 301\n"
    )


def test_pieces_that_are_none(fails, write):
    write("pieces.txt", "a\nń\n".encode())
    assert "pieces.txt:2: " in fails(3, "bpe", "decode", "--as", "pieces", "pieces.txt").stderr


def test_models_that_are_none(fails, quietly, model, write, work):
    data = (work / model).read_bytes()
    write("cut.lm", data[:-1])
    write("text.lm", PROSE[:1000])
    write("empty.lm", b"")
    quietly("count", "-q", "-o", "counts.lm", stdin=PROSE[:1000])
    (work / "none").mkdir()
    for command in ("encode", "decode"):
        for name in ("cut.lm", "text.lm", "empty.lm", "counts.lm"):
            fails(4, "bpe", command, "-m", name, stdin=b"3\n")
        assert "no tokenizer in the folder" in fails(4, "bpe", command, "-m", work, stdin=b"3\n").stderr
        assert "none.lm: No such file" in fails(3, "bpe", command, "-m", "none.lm", stdin=b"3\n").stderr
        folder = "a folder without files of text" if command == "encode" else "Is a directory"
        assert folder in fails(3, "bpe", command, "-m", model, work / "none").stderr
    assert "a folder without files of text" in fails(3, "bpe", "train", work / "none").stderr


def test_tokenizers_of_other_models_are_used(quietly, shelf, fails):
    word, char = shelf["witten-bell-2.lm"], shelf["char-witten-bell.lm"]
    for name, text in ((word, b"the cat\n\nsat\n"), (char, "the niña\n\nsat\n".encode())):
        ids = quietly("encode", "-m", name, stdin=text)
        assert quietly("decode", "-m", name, stdin=ids) == text
    assert fails(2, "bpe", "encode", "-m", word, "--dropout", 0.1, stdin=b"a\n").stdout == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--vocab-size", 0], ["train", "--vocab-size", "many"], ["train", "--level", "word"],
        ["train", "--level", "char", "--pattern", "gpt4"], ["train", "--pattern", "(unclosed"],
        ["train", "--normalize", "nfd"], ["train", "--special", ""], ["train", "--special", " a"],
        ["train", "--special", "a\nb"], ["train", "--min-frequency", 0], ["train", "-", "-"], ["train", "--nonsense"],
        ["train", "--vocab-size", 2**40], ["count", "--level", "word"], ["count", "--vocab-size", 5],
        ["encode"], ["encode", "-m", "-"], ["encode", "-m", "bpe.lm", "--as", "words"],
        ["encode", "-m", "bpe.lm", "--marker", "+"], ["encode", "-m", "bpe.lm", "--dropout", 2],
        ["encode", "-m", "bpe.lm", "--dropout", "nan"], ["encode", "-m", "bpe.lm", "--vocab-threshold", 3],
        ["encode", "--vocab", "v.txt", "--vocab-threshold", 3], ["encode", "-m", "bpe.lm", "--unknown", "x"],
        ["encode", "-m", "bpe.lm", "--json", "--as", "npy"], ["encode", "--vocab", "v.txt", "--parse-special"],
        ["encode", "--vocab", "v.txt", "--dropout", 0.5], ["encode", "--vocab", "-"],
        ["encode", "-m", "-", "-"], ["encode", "-m", "bpe.lm", "--seed", -1],
        ["decode"], ["decode", "-m", "-"],
        ["decode", "-m", "bpe.lm", "--marker", "#"], ["decode", "-m", "bpe.lm", "--as", "json"], ["nonsense"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)  # fmt: skip
def test_options_that_do_not_go_together(arguments, fails, model, write):
    write("v.txt", b"a\nb\n<unk>\n")
    assert fails(2, "bpe", *arguments, stdin=b"a\n").stdout == b""


def test_nothing_is_written_over_what_is_read(fails, model, write, work):
    write("text.txt", PROSE[:500])
    for command in (["train"], ["encode", "-m", model], ["count"]):
        fails(2, "bpe", *command, "text.txt", "-o", "text.txt")
        assert (work / "text.txt").read_bytes() == PROSE[:500]
    fails(2, "bpe", "encode", "-m", model, "text.txt", "-o", model)


# Large ones.


@pytest.mark.slow
def test_a_long_line_without_any_boundary(quietly, model, write):
    letters = bytes(random.Random(0).choices(b"abcdefghij", k=5_000_000))
    for name, text in (("letters.txt", letters), ("same.txt", b"a" * 5_000_000), ("spaces.txt", b" " * 5_000_000)):
        write(name, text)
        quietly("encode", "-q", "-m", model, name, "-o", "ids.txt")
        assert os.path.getsize("ids.txt") > 100_000
        assert quietly("decode", "-q", "-m", model, "ids.txt") == text


@pytest.mark.parametrize("more", [["--pattern", "gpt4"], ["--level", "char"], ["--normalize", "nfc"]])
def test_counts_made_otherwise_are_refused(more, fails, lmkit, write):
    lmkit("bpe", "count", write("text.txt", b"a cat and a hat\n"), "-o", "counts.lm")
    done = fails(2, "bpe", "train", "--from-counts", "--vocab-size", "260", "counts.lm", *more)
    assert "counts.lm: its pre-tokens were counted with other options" in done.stderr


@pytest.mark.parametrize("pattern", ["gpt5", "", "white-space"])
def test_a_pattern_that_looks_like_a_name_must_be_one(pattern, fails, write):
    done = fails(2, "bpe", "train", "--pattern", pattern, write("text.txt", b"a\n"))
    assert "expected one of gpt2, gpt4, whitespace, none, or a regular expression" in done.stderr


@pytest.mark.parametrize("names", [["a b"], [" a"], [""], ["<s>"], ["[M]", "[M]"]])
def test_names_of_special_tokens_are_words_of_their_own(names, fails, write):
    fails(2, "bpe", "train", *(word for name in names for word in ("--special", name)), write("text.txt", b"a\n"))


def test_a_checkpoint_taken_for_a_text_is_told(lmkit, write):
    lmkit("bpe", "count", write("text.txt", b"a cat and a hat\n"), "-o", "counts.lm")
    done = lmkit("bpe", "train", "--vocab-size", "260", "counts.lm", "-o", "out.lm")
    assert (done.status, done.stderr) == (0, "lmkit: counts.lm: a checkpoint, taken for a text\n")


@pytest.mark.few(1)
@pytest.mark.parametrize("verb", [("train",), ("count",)])
def test_a_pattern_that_gives_up_is_one_line(verb, process, one_line, write):
    write("a.txt", b"a" * 40 + b"!\n")
    done = process("bpe", *verb, "--pattern", "(a+)+$", "a.txt")
    assert done.status == 3
    one_line(done.stderr)
    assert "the pattern '(a+)+$' on the text 'aaaaaaaa" in done.stderr


def test_a_tokenizer_with_a_pattern_that_gives_up_is_one_line(process, lmkit, one_line, write):
    write("good.txt", b"b c b c\n" * 9)
    write("a.txt", b"a" * 40 + b"!\n")
    assert (
        lmkit("bpe", "train", "--vocab-size", "259", "--pattern", "(a+)+$|b|c| ", "good.txt", "-o", "t.lm").status == 0
    )
    for command in (["bpe", "encode", "-m", "t.lm"], ["ngram", "fit", "--tokens", "t.lm", "-o", "n.lm"]):
        done = process(*command, "a.txt")
        assert done.status == 3, done.stderr
        one_line(done.stderr)
        assert "the pattern" in done.stderr


@settings(max_examples=30)
@given(texts=st.lists(st.sampled_from(["", "a", "a\n", "á b", "á b\n\n", "x" * 70, "\n"]), min_size=1, max_size=4))
def test_stats_count_the_characters_and_bytes_of_the_files(texts, trained, lmkit, write):
    names = [write(f"{number}.txt", text.encode()) for number, text in enumerate(texts)]
    done = lmkit("bpe", "stats", "-m", trained("bytes.lm"), "--json", *names)
    whole = "".join(texts)
    if not whole.strip("\n"):
        assert done.status == 3
        return
    record = done.records[0]
    assert (record["bytes"], record["characters"]) == (len(whole.encode()), len(whole))
    assert record["lines"] == sum(text.count("\n") + (not text.endswith("\n")) for text in texts if text)
    assert record["bytes_per_token"] == pytest.approx(record["bytes"] / record["tokens"])


@pytest.mark.parametrize("kind", ["bytes.lm", "imported"])
def test_readable_pieces_are_utf_8_and_come_back(kind, trained, lmkit, quietly, write):
    model = trained("bytes.lm")
    if kind == "imported":  # served by the tokenizers library, for its order of steps
        document = json.loads(quietly("export", model))
        document["normalizer"] = {"type": "Strip", "strip_left": False, "strip_right": False}
        write("tokenizer.json", json.dumps(document).encode())
        quietly("import", "tokenizer.json", "-o", "served.lm")
        model = "served.lm"
    text = "la lámpara ▁x <0x41> </s>\n😀 a  b\n".encode()
    shown = quietly("encode", "-m", model, "--as", "text", stdin=text)
    assert "▁the".encode() in quietly("encode", "-m", model, "--as", "text", stdin=b"in the tree\n").split()
    assert not re.search(rb"[^\x00-\x7f]", shown.replace("▁".encode(), b"").replace("á".encode(), b""))
    assert quietly("decode", "--as", "pieces", "--marker", "▁", stdin=shown) == text
    ids = quietly("encode", "-m", model, stdin=text)
    assert [len(line.split()) for line in ids.splitlines()] == [len(line.split()) for line in shown.splitlines()]
    done = lmkit("bpe", "encode", "-m", model, "--as", "text", "--marker", "@@", stdin=text)
    assert (done.status, "--marker cannot be combined" in done.stderr) == (2, True)


def test_a_piece_spelled_like_a_special_token_looks_otherwise():
    from lmkit.tokenization.bpe.piece_markers import readable

    assert readable([b"<s>", b"<s>", b" \xc3", b"\n"], {0}) == [b"<s>", b"<0x3C>s>", "▁<0xC3>".encode(), b"<0x0A>"]


def test_a_wordpiece_vocabulary_is_learned_used_and_exported(lmkit, work, trained):
    text = trained("prose.txt")
    train = ["bpe", "train", "-q", "--algorithm", "wordpiece", "--vocab-size", 600, "--normalize", "lowercase"]
    done = lmkit(*train, text, "-o", "wp.lm")
    assert (done.status, done.stderr) == (0, "")
    assert lmkit(*train, stdin=PROSE).stdout[-100:] == (work / "wp.lm").read_bytes()[-100:]
    assert lmkit("bpe", "encode", "-m", "wp.lm", "--as", "pieces", stdin=b"The lists.\n").stdout == b"the list ##s .\n"
    ids = lmkit("bpe", "encode", "-m", "wp.lm", "--parse-special", stdin=b"The [MASK]\n\n").stdout
    assert ids.split(b"\n")[0].endswith(b" 4")
    assert lmkit("bpe", "decode", "-m", "wp.lm", stdin=ids).stdout == b"the [MASK]\n\n"
    assert b"tokens_per_word" in lmkit("bpe", "stats", "-m", "wp.lm", text).stdout
    assert lmkit("bpe", "export", "wp.lm", "--format", "vocab.txt").stdout.startswith(b"[PAD]\n[UNK]\n[CLS]\n")
    assert json.loads(lmkit("bpe", "export", "wp.lm").stdout)["model"]["type"] == "WordPiece"


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "said"),
    [
        (["--level", "char"], b"a\n", 2, "--algorithm wordpiece cannot be combined with --level"),
        (["--from-counts"], b"a 1\n", 2, "--algorithm wordpiece cannot be combined with --level"),
        (["--special", "[MASK]"], b"a\n", 2, "--special '[MASK]': already defined"),
        (["--normalize", "nfd"], b"a\n", 2, "'nfd' is not one of none, nfc, nfkc, lowercase, strip-accents"),
        ([], b"\n \n", 3, "no text to learn from: the input has no words"),
        (["--vocab-size", 6], b"ab\n", 3, "--vocab-size 8 or more"),
        ([], b"\xff\n", 3, "<stdin>:1: not UTF-8"),
    ],
)
def test_what_no_wordpiece_vocabulary_can_be_learned_from(lmkit, arguments, stdin, status, said):
    done = lmkit("bpe", "train", "--algorithm", "wordpiece", *arguments, stdin=stdin)
    assert done.status == status, done.stderr
    assert said in done.stderr


def test_a_unigram_vocabulary_is_learned_and_used(lmkit, work, trained):
    train = ["bpe", "train", "-q", "--algorithm", "unigram", "--special", "[MASK]"]
    text = b"yo soy Juan\nJuan yo soy\nyo no salto\n"
    assert lmkit(*train, "--vocab-size", "18", "-o", "uni.lm", stdin=text).status == 0
    assert lmkit("bpe", "encode", "-m", "uni.lm", "--as", "pieces", stdin=b"yo  soy Juan\n").text == "▁yo ▁soy ▁Juan\n"
    ids = lmkit("bpe", "encode", "-m", "uni.lm", stdin=text).stdout
    assert lmkit("bpe", "decode", "-m", "uni.lm", stdin=ids).stdout == text
    for options, status, said in (
        (["--normalize", "nfc"], 2, "cannot be combined with --normalize"),
        (["--pattern", "gpt4"], 2, "--algorithm unigram cannot be combined with --level"),
        (["--vocab-size", "5"], 3, "can't hold 4 special tokens"),
    ):
        done = lmkit(*train, *options, stdin=text)
        assert (done.status, said in done.stderr, done.stderr.count("Traceback")) == (status, True, 0), done.stderr
