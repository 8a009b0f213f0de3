"""`bpe import` and `bpe export`: files of other tools in, files of other tools out."""

import json

import pytest

pytest.importorskip("tokenizers")

TEXT = (
    b"".join(b"the cat sat on the mat and the dog on the log %d\n" % number for number in range(40))
    + ("el niño y la niña están aquí\n" * 20).encode()
)


@pytest.fixture
def bpe(work, write, lmkit):
    """A tokenizer's checkpoint of bytes."""
    write("text", TEXT)
    assert lmkit("bpe", "train", "--vocab-size", 300, "text", "-o", "bpe.lm").status == 0
    return "bpe.lm"


@pytest.fixture
def characters(bpe, lmkit):
    """One of words' characters."""
    assert lmkit("bpe", "train", "--level", "char", "--vocab-size", 60, "text", "-o", "char.lm").status == 0
    return "char.lm"


def encoded(lmkit, model):
    done = lmkit("bpe", "encode", "-m", model, "text")
    assert done.status == 0, done.stderr
    assert done.stdout
    return done.stdout


@pytest.mark.parametrize("form", ["tokenizer.json", "tiktoken", "gpt2"])
def test_out_and_in_again_gives_the_same_ids(bpe, lmkit, work, form):
    assert lmkit("bpe", "export", bpe, "--format", form, "-o", "other").status == 0
    assert lmkit("bpe", "import", "other", "-q", "-o", "again.lm").status == 0
    assert encoded(lmkit, "again.lm") == encoded(lmkit, bpe)


@pytest.mark.parametrize("form", ["tokenizer.json", "subword-nmt"])
def test_words_of_characters_out_and_in_again(characters, lmkit, form):
    assert lmkit("bpe", "export", "-m", characters, "--format", form, "-o", "other").status == 0
    assert lmkit("bpe", "import", "other", "-o", "again.lm").status == 0
    if form == "tokenizer.json":
        assert encoded(lmkit, "again.lm") == encoded(lmkit, characters)
        return
    ours, again = (records(lmkit, model) for model in (characters, "again.lm"))
    assert all(two in (one, "<unk>") for one, two in zip(ours, again, strict=True))  # codes show only what they merge
    assert again.count("<unk>") < len(ours) / 5


def records(lmkit, model):
    """All pieces of the text."""
    done = lmkit("bpe", "encode", "--json", "-m", model, "text")
    return [piece for record in done.records for piece in record["pieces"]]


def test_stdin_to_stdout_the_same_bytes(bpe, lmkit, work):
    data = (work / bpe).read_bytes()
    first, second = (lmkit("bpe", "export", stdin=data) for _ in range(2))
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)["model"]["type"] == "BPE"
    piped = lmkit("bpe", "import", stdin=first.stdout)
    (work / "file").write_bytes(first.stdout)
    assert piped.status == 0
    assert (
        piped.stdout == lmkit("bpe", "import", "file").stdout == lmkit("bpe", "import", "-", stdin=first.stdout).stdout
    )
    assert lmkit("info", stdin=piped.stdout).status == 0


def test_a_folder_with_a_config(bpe, lmkit, work):
    folder = work / "folder"
    folder.mkdir()
    assert lmkit("bpe", "export", bpe, "-o", "folder/tokenizer.json").status == 0
    (folder / "tokenizer_config.json").write_text('{"bos_token": "</s>", "eos_token": "<s>"}')
    assert lmkit("bpe", "import", "folder", "-o", "again.lm").status == 0
    (about,) = lmkit("info", "--json", "again.lm").records
    assert about["tokenizer"]["specials"] == {"unk": 0, "bos": 2, "eos": 1}
    (folder / "tokenizer_config.json").write_text("[")
    assert "tokenizer_config.json" in lmkit("bpe", "import", "folder").stderr


def test_gpt2_files_in_either_order(bpe, lmkit, work):
    assert lmkit("bpe", "export", bpe, "--format", "gpt2", "-o", "gpt2").status == 0
    one = lmkit("bpe", "import", "gpt2/vocab.json", "gpt2/merges.txt")
    other = lmkit("bpe", "import", "gpt2/merges.txt", "gpt2/vocab.json")
    assert one.status == other.status == 0
    (work / "1.lm").write_bytes(one.stdout)
    (work / "2.lm").write_bytes(other.stdout)
    assert encoded(lmkit, "1.lm") == encoded(lmkit, "2.lm") == encoded(lmkit, bpe)


def test_a_served_tokenizer_encodes_and_is_given_back_as_it_came(bpe, lmkit, work):
    document = json.loads(lmkit("bpe", "export", bpe).stdout)
    document["pre_tokenizer"]["add_prefix_space"] = True
    data = json.dumps(document).encode()
    (work / "prefix.json").write_bytes(data)
    done = lmkit("bpe", "import", "-v", "prefix.json", "-o", "served.lm")
    assert "puts a space in front" in done.stderr
    assert lmkit("bpe", "export", "served.lm").stdout == data
    assert encoded(lmkit, "served.lm") != encoded(lmkit, bpe)


def test_what_can_not_be_said_is_refused(bpe, characters, fails):
    for model, form in [(bpe, "subword-nmt"), (characters, "gpt2"), (characters, "tiktoken")]:
        assert model in fails(4, "bpe", "export", model, "--format", form, "-o", "never").stderr


def test_words_have_no_merges(work, write, lmkit, fails):
    write("text", TEXT)
    assert lmkit("ngram", "fit", "--order", 1, "text", "-o", "words.lm").status == 0
    assert "have no merges" in fails(4, "bpe", "export", "words.lm").stderr


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text", b"some text that is no tokenizer\n"), ("empty", b""), ("binary", bytes(range(256))),
        ("vocab.json", b'{"a": 1}'), ("merges.txt", b"#version: 0.2\na b\n"), ("cut.json", b'{"model": {"vo'),
        ("deep.json", b'{"model": {"a":' + b"[" * 200000), ("nul", b"\0" * 1000), ("line", b"x" * 1_000_000),
        ("ranks", b"IQ== 0\nIg== 1\n"), ("model", b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x01"),
        ("cut.model", b"\x0a\x0e\x0a\x05<unk"),
    ],
)  # fmt: skip
def test_files_that_are_no_tokenizer(name, data, work, write, fails):
    write(name, data)
    assert name in fails(4, "bpe", "import", name, "-o", "never.lm").stderr
    assert not (work / "never.lm").exists()


@pytest.mark.parametrize("form", ["tokenizer.json", "tiktoken", "sentencepiece", "subword-nmt"])
def test_the_format_expected_is_named(form, work, write, fails):
    write("x", b"\xff\xfe nothing of the sort\n\n")
    assert form.split("-")[0] in fails(4, "bpe", "import", "--format", form, "x").stderr.lower()


def test_merges_that_are_none(bpe, lmkit, work, write, fails):
    assert lmkit("bpe", "export", bpe, "--format", "gpt2", "-o", "gpt2").status == 0
    merges = (work / "gpt2" / "merges.txt").read_bytes()
    for data, message in [
        (merges.replace(b"\n", b"\r"), "line 1 says version"), (b"", "no merges"), (merges[:-1] + b" x", "is not two"),
    ]:  # fmt: skip
        write("merges", data)
        assert message in fails(4, "bpe", "import", "gpt2/vocab.json", "merges").stderr
    fails(2, "bpe", "import", "--pattern", "(", "gpt2")


def test_usage(bpe, fails, work):
    fails(2, "bpe", "export", bpe, "--format", "gpt2")
    fails(2, "bpe", "export", bpe, "-m", bpe)
    fails(2, "bpe", "export", bpe, "--format", "nonesuch")
    fails(2, "bpe", "import", "text", "text", "text")
    fails(2, "bpe", "import", "--format", "gpt2", "text")
    fails(2, "bpe", "import", "--format", "tiktoken", "text", "text")
    fails(2, "bpe", "import", "--format", "subword-nmt", "--pattern", "gpt2", "text")
    fails(3, "bpe", "import", "missing")
    assert "already" in fails(4, "bpe", "import", bpe).stderr
    (work / "nothing").mkdir()
    fails(4, "bpe", "import", "nothing")
    fails(2, "bpe", "export", bpe, "--format", "gpt2", "-o", "text")
