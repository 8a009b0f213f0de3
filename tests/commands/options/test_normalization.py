"""--normalize and --punctuation: a model of normalised text reads any text as if it were normalised."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from lmkit import checkpoint
from lmkit.commands.options.normalization import normalization_of, recorded
from lmkit.errors import UsageError
from lmkit.tokenization.normalization import Normalization
from lmkit.word_vectors import sharding, trainer

TEXT = "The CAT saw the École, and THE dog.\nthe ﬁsh saw a Cat.\n<unk> saw the DOG!\nA cat, a dog - the Fish.\n" * 3
TEST = "THE Fish saw a Dog, a cat.\nthe École SAW a zebra!\n"
LOWER = ["--normalize", "nfkc,lowercase"]
SPLIT = [*LOWER, "--punctuation", "split"]
TINY = ["--dim", "6", "--min-count", "1", "--epochs", "2", "--negatives", "3", "--sample", "0"]


def lowered(text):
    return unicodedata.normalize("NFKC", text).lower()


def separated(text):
    return "".join(f" {c} " if c in ",.!-" else c for c in lowered(text))


FORMS = {"lower": (LOWER, lowered), "split": (SPLIT, separated)}


@pytest.fixture
def files(write):
    """Texts as they come, and in normal form."""
    for name, text in {"train": TEXT, "test": TEST}.items():
        write(f"{name}.txt", text.encode())
        for form, (_, normal) in FORMS.items():
            write(f"{name}-{form}.txt", normal(text).encode())


@pytest.fixture
def done(lmkit, files):
    """A command that has to succeed."""

    def done(*arguments, stdin=b""):
        result = lmkit(*arguments, stdin=stdin)
        assert result.status == 0, result.stderr
        return result

    return done


def content(name):
    return checkpoint.parse(memoryview(Path(name).read_bytes()))


def tensors(name):
    return {key: np.asarray(array).tobytes() for key, array in content(name).tensors.items()}


# What is asked for.


def test_options_are_read():
    assert normalization_of("none", "keep") == Normalization()
    assert normalization_of("nfkc, lowercase", "split") == Normalization(("nfkc", "lowercase"), "split")
    assert normalization_of("nfc", "keep", "char") == Normalization(("nfc",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nfd", "keep"), "'nfd' is not one of none, nfc, nfkc, lowercase"),
        (("nfc", "keep", "bpe.lm"), "--tokens FILE"), (("none", "split", "bpe.lm"), "--tokens FILE"),
        (("none", "split", "char"), "needs --tokens word"), (("none", "remove", "byte"), "needs --tokens word"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_combined(arguments, message):
    with pytest.raises(UsageError, match=message):
        normalization_of(*arguments)


def test_nothing_is_recorded_of_nothing():
    assert recorded({"dim": 5, "normalize": "none", "punctuation": "keep"}) == {"dim": 5}
    assert recorded({"dim": 5}) == {"dim": 5}
    assert recorded({"normalize": "nfc lowercase", "punctuation": "keep"}) == {"normalize": ["nfc", "lowercase"]}


# n-grams.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "jelinek-mercer"])
def test_a_model_is_that_of_the_normal_form(form, smoothing, done):
    options, _ = FORMS[form]
    fit = ["ngram", "fit", "--order", "3", "--smoothing", smoothing]
    done(*fit, *options, "train.txt", "-o", "a.lm")
    done(*fit, f"train-{form}.txt", "-o", "b.lm")
    assert tensors("a.lm") == tensors("b.lm")
    ours = done("ppl", "--json", "-m", "a.lm", "test.txt").records[0]
    theirs = done("ppl", "--json", "-m", "b.lm", f"test-{form}.txt").records[0]
    for key in ("perplexity", "perplexity_known", "tokens", "unknown_tokens", "nats"):
        assert ours[key] == theirs[key]
    size = len(TEST.encode())
    assert ours["bits_per_byte"] == pytest.approx(-ours["nats"] / np.log(2) / size), "of the text as it is"


@pytest.mark.few(1)
@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
def test_any_number_of_threads_and_runs_and_pieces_give_the_same_bytes(tokens, done, write):
    options = SPLIT if tokens == "word" else LOWER
    whole = ["ngram", "count", "--order", "3", "--tokens", tokens, *options]
    done(*whole, "train.txt", "--threads", 1, "-o", "1.lm")
    for number, more in enumerate((["--threads", 3], ["--memory", "1M"]), 2):
        done(*whole, "train.txt", *more, "-o", f"{number}.lm")
        assert Path(f"{number}.lm").read_bytes() == Path("1.lm").read_bytes()
    lines = TEXT.encode().splitlines(keepends=True)
    for name, part in {"a": lines[:5], "b": lines[5:6], "c": lines[6:]}.items():
        write(f"{name}.txt", b"".join(part))
        done(*whole, f"{name}.txt", "-o", f"{name}.lm")
    done("ngram", "merge", "a.lm", "b.lm", "c.lm", "-o", "merged.lm")
    assert Path("merged.lm").read_bytes() == Path("1.lm").read_bytes()
    done(*whole, "--engine", "dask", "a.txt", "b.txt", "c.txt", "-o", "dask.lm")
    assert Path("dask.lm").read_bytes() == Path("1.lm").read_bytes()
    done("ngram", "fit", "--order", "3", "--from-counts", "1.lm", "-o", "counted.lm")
    done("ngram", "fit", "--order", "3", "--tokens", tokens, *options, "train.txt", "-o", "fitted.lm")
    assert tensors("counted.lm") == tensors("fitted.lm")
    assert content("counted.lm").origin["settings"] == content("fitted.lm").origin["settings"]


def test_a_limited_vocabulary_and_a_listed_one(done, write):
    fit = ["ngram", "fit", "--order", "2", *SPLIT, "train.txt"]
    done(*fit, "--min-count", 4, "-o", "small.lm")
    done(*fit, "--vocab", write("vocab.txt", b"The\n,\ncat\nCat\n"), "-o", "listed.lm")
    vocabulary = [
        record["word"] for record in done("ngram", "query", "--order", 1, "--json", "-m", "listed.lm").records
    ]
    assert vocabulary == ["<unk>", "</s>", "the", ",", "cat"]
    for name in ("small.lm", "listed.lm"):
        assert content(name).tokenizer["normalize"] == ["nfkc", "lowercase"]
        assert (
            "Cat"
            not in done("score", "--json", "--explain", "-m", name, stdin=b"A Cat,\n").text.partition("factors")[2]
        )


def test_models_that_normalise_differently_are_not_put_together(done, fails):
    for name, options in {"lower": LOWER, "split": SPLIT, "plain": []}.items():
        done("ngram", "count", "--order", 2, *options, "train.txt", "-o", f"{name}.counts")
        done("ngram", "fit", "--order", 2, *options, "train.txt", "-o", f"{name}.lm")
    for one, other in (("lower", "split"), ("plain", "lower"), ("split", "plain")):
        failed = fails(2, "ngram", "merge", f"{one}.counts", f"{other}.counts")
        assert f"{other}.counts: counts of text with --normalize" in failed.stderr
        assert "--normalize" in fails(4, "ngram", "mix", "-m", f"{one}.lm", "-m", f"{other}.lm", "-o", "x").stderr
        for command in ("ppl", "score"):
            refused = fails(3, command, "--mix", "0.5,0.5", "-m", f"{one}.lm", "-m", f"{other}.lm", "test.txt")
            assert "model 1 reads texts under --normalize" in refused.stderr


def test_models_that_normalise_alike_are_mixed(done, write):
    write("one.txt", TEXT.encode()[:90])
    for name in ("one", "train"):
        done("ngram", "fit", "--order", 2, *LOWER, f"{name}.txt", "-o", f"{name}.lm")
        done("ngram", "fit", "--order", 2, write(f"{name}-low.txt", lowered(Path(f"{name}.txt").read_text()).encode()),
             "-o", f"{name}-low.lm")  # fmt: skip
    for both, text, name in ((("one", "train"), "test.txt", "a"), (("one-low", "train-low"), "test-lower.txt", "b")):
        models = [part for one in both for part in ("-m", f"{one}.lm")]
        done("ngram", "mix", *models, "--tune", text, "-o", f"{name}.lm")
        done("ppl", "-b", *models, "--mix", "0.4,0.6", text, "-o", f"{name}.txt")
    assert tensors("a.lm") == tensors("b.lm")
    assert content("a.lm").tokenizer["normalize"] == ["nfkc", "lowercase"]
    assert Path("a.txt").read_text() == Path("b.txt").read_text()


def test_files_of_other_tools_have_no_place_for_it(done, lmkit, write):
    done("ngram", "fit", "--order", 2, *SPLIT, "train.txt", "-o", "a.lm")
    exported = done("ngram", "export", "a.lm", "-o", "a.arpa")
    said = "--normalize nfkc,lowercase --punctuation split cannot be stored in an ARPA file, omitted"
    assert said in exported.stderr
    assert exported.stderr.count("\n") == 1
    done("ngram", "import", "a.arpa", "-o", "plain.lm")
    done("ngram", "import", *SPLIT, "a.arpa", "-o", "again.lm")
    assert content("again.lm").tokenizer == content("a.lm").tokenizer
    assert content("again.lm").origin["settings"] == {"normalize": ["nfkc", "lowercase"], "punctuation": "split"}
    perplexities = [done("ppl", "-b", "-m", name, text).text for name, text in (
        ("a.lm", "test.txt"), ("again.lm", "test.txt"), ("plain.lm", "test-split.txt"))]  # fmt: skip
    assert len({round(float(number), 3) for number in perplexities}) == 1
    done("ngram", "count", "--order", 2, *SPLIT, "train.txt", "-o", "counts.lm")
    table = done("ngram", "export", "counts.lm", "-o", "counts.tsv")
    assert "cannot be stored in a table" in table.stderr
    done("ngram", "import", "--counts", *SPLIT, "counts.tsv", "-o", "back.lm")
    done("ngram", "fit", "--from-counts", "--order", 2, "back.lm", "-o", "back-fit.lm")
    assert float(done("ppl", "-b", "-m", "back-fit.lm", "test.txt").text) == pytest.approx(float(perplexities[0]))


def test_options_about_texts_are_refused_where_there_are_none(done, fails):
    done("ngram", "count", *LOWER, "train.txt", "-o", "counts.lm")
    assert (
        "counts are of normalised" in fails(2, "ngram", "fit", "--from-counts", *LOWER, "counts.lm", "-o", "x").stderr
    )
    done("ngram", "fit", *LOWER, "train.txt", "-o", "a.lm")
    assert "ARPA files" in fails(2, "ngram", "import", *LOWER, "a.lm", "-o", "x").stderr
    for command in (["ngram", "fit"], ["ngram", "count"]):
        assert "is not one of" in fails(2, *command, "--normalize", "nfd", "train.txt", "-o", "x").stderr
        assert (
            "needs --tokens word"
            in fails(2, *command, "--tokens", "char", "--punctuation", "split", "train.txt").stderr
        )
        assert "--tokens FILE" in fails(2, *command, "--tokens", "a.lm", *LOWER, "train.txt", "-o", "x").stderr


# Other commands that read text with such a model.


@pytest.fixture
def model(done):
    done("ngram", "fit", "--order", 2, "--smoothing", "wb", *SPLIT, "train.txt", "-o", "a.lm")
    return "a.lm"


def test_the_model_says_what_it_does(model, done):
    said = done("info", "--json", model).records[0]
    assert said["tokenizer"]["normalize"] == ["nfkc", "lowercase"]
    assert said["tokenizer"]["punctuation"] == "split"
    assert said["origin"]["settings"]["punctuation"] == "split"
    assert "tokenizer.punctuation\tsplit\n" in done("info", model).text


def test_prompts_and_queries_are_normalised(model, done, fails):
    ask = ["next", "-m", model, "--json", "--prompt"]
    assert done(*ask, "THE Cat,").records == done(*ask, "the cat ,").records
    drawn = [
        done("sample", "-q", "-m", model, "--seed", 1, "--json", "--prompt", text).records
        for text in ("A Cat", "a cat")
    ]
    assert [record["text"] for record in drawn[0]] == [record["text"] for record in drawn[1]]
    (record,) = done("ngram", "query", "-m", model, "--json", "THE Cat,").records
    assert (record["context"], record["word"]) == ("cat", ",")
    done("ngram", "fit", "--order", 2, "--punctuation", "remove", "train.txt", "-o", "removed.lm")
    assert "has no words" in fails(3, "ngram", "query", "-m", "removed.lm", "...").stderr


def test_words_of_a_prompt_that_are_known_in_normal_form_are_not_called_unknown(model, done):
    said = done("sample", "-m", model, "--max-tokens", 1, "--prompt", "THE École, Zebra").stderr
    assert "read as <unk>: 'zebra'" in said
    done("ngram", "fit", "--order", 2, "--tokens", "char", "--normalize", "nfc", "train.txt", "-o", "char.lm")
    assert "<unk>" not in done("sample", "-m", "char.lm", "--max-tokens", 1, "--prompt", "E\u0301cole").stderr


def test_its_tokenizer_is_used_by_others(model, done):
    assert done("bpe", "encode", "-m", model, "--as", "pieces", stdin="ÉCOLE, Cat\n".encode()).text == "école , cat\n"
    done("ngram", "fit", "--order", 2, "--smoothing", "wb", "--tokens", model, "train.txt", "-o", "again.lm")
    assert content("again.lm").tokenizer == content(model).tokenizer
    entropies = [
        done("entropy", "-b", "--unit-of", "token", "-m", model, name).text for name in ("test.txt", "test-split.txt")
    ]
    assert entropies[0] == entropies[1]


@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
def test_a_text_is_compressed_as_it_is(tokens, done, write):
    options = SPLIT if tokens == "word" else LOWER
    done("ngram", "fit", "--order", 2, "--smoothing", "wb", "--tokens", tokens, *options, "train.txt", "-o", "a.lm")
    data = TEST.encode() + b"\r\n\xff\xfe ,,  The<unk>, <unk> \xc2\xa0\xef\xac\x81x"
    done("compress", "-q", "-m", "a.lm", write("odd.txt", data), "-o", "packed")
    assert done("decompress", "-q", "-m", "a.lm", "packed").stdout == data
    done("ngram", "fit", "--order", 2, "--smoothing", "wb", "--tokens", tokens, "train.txt", "-o", "plain.lm")
    assert done("decompress", "-q", "-m", "a.lm", "packed").status == 0


def test_a_tokenizer_is_part_of_what_a_compressed_text_wants(model, done, fails):
    done("compress", "-q", "-m", model, "test.txt", "-o", "packed")
    done("ngram", "export", model, "-o", "a.arpa")
    done("ngram", "import", "a.arpa", "-o", "plain.lm")
    assert "another model" in fails(4, "decompress", "-q", "-m", "plain.lm", "packed").stderr


# Word vectors.


@pytest.mark.few(2)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("more", [[], ["--subwords", "3-4"], ["--phrases", "1", "--phrase-threshold", "1"]])
def test_vectors_are_those_of_the_normal_form(form, more, done):
    options, _ = FORMS[form]
    done("w2v", "train", *TINY, *more, *options, "train.txt", "-o", "a.lm")
    done("w2v", "train", *TINY, *more, f"train-{form}.txt", "-o", "b.lm")
    assert tensors("a.lm") == tensors("b.lm")
    plain = dict(content("b.lm").origin["settings"])
    normalization = normalization_of(*options[1::2]) if form == "split" else normalization_of(options[1], "keep")
    assert content("a.lm").origin["settings"] == {**plain, **normalization.describe()}


@pytest.mark.parametrize("compiled", [True, False])
def test_vectors_do_not_depend_on_threads_nor_on_compiling(compiled, done, monkeypatch):
    if not compiled:
        monkeypatch.setattr(trainer, "find_spec", lambda _name: None)
    monkeypatch.setattr(sharding, "SHORT", 20)
    for threads in (1, 3):
        done("w2v", "train", *TINY, *SPLIT, "--threads", threads, "train.txt", "-o", f"{threads}.lm")
    done("w2v", "train", *TINY, "train-split.txt", "-o", "plain.lm")
    assert Path("1.lm").read_bytes() == Path("3.lm").read_bytes()
    assert tensors("1.lm") == tensors("plain.lm")


@pytest.fixture
def vectors(done):
    done("w2v", "train", *TINY, *SPLIT, "train.txt", "-o", "v.lm")
    return "v.lm"


def test_words_are_looked_up_in_normal_form(vectors, done, fails, write):
    assert [record["word"] for record in done("w2v", "similar", "-m", vectors, "--json", "CAT").records] == [
        record["word"] for record in done("w2v", "similar", "-m", vectors, "--json", "cat").records
    ]
    assert done("w2v", "analogy", "-m", vectors, "-b", "THE", "Cat", "ﬁsh").text == done(
        "w2v", "analogy", "-m", vectors, "-b", "the", "cat", "fish").text  # fmt: skip
    assert "no vector for 'cat,'" in fails(3, "w2v", "similar", "-m", vectors, "cat,").stderr
    pairs = write("pairs.tsv", "CAT\tﬁsh\t1\nthe\tDog\t2\nécole\tsaw\t3\n".encode())
    for fold in ("--fold-case", "--keep-case"):
        (record,) = done("w2v", "eval", "-m", vectors, "--json", fold, pairs).records
        assert (record["pairs"], record["unknown"]) == (3, 0)


def test_lines_are_embedded_in_normal_form(vectors, done):
    embed = ["embed", "-m", vectors, "--json"]
    ours, theirs = (done(*embed, f"{name}.txt").records for name in ("test", "test-split"))
    assert [record["vector"] for record in ours] == [record["vector"] for record in theirs]
    shown = done(*embed, "--each", "token", "--token", "FISH", "test.txt").records
    assert [record["token"] for record in shown] == ["fish"]


def test_unknown_words_are_made_of_the_n_grams_of_their_normal_form(done):
    done("w2v", "train", *TINY, *SPLIT, "--subwords", "3-4", "train.txt", "-o", "v.lm")
    ours, theirs = (
        done("embed", "-m", "v.lm", "--json", stdin=text).records for text in (b"CATS, Doggy\n", b"cats , doggy\n")
    )
    assert ours[0]["vector"] == theirs[0]["vector"] is not None
    assert (
        done("w2v", "similar", "-m", "v.lm", "-b", "CATS").text
        == done("w2v", "similar", "-m", "v.lm", "-b", "cats").text
    )


def test_phrases_are_looked_up_before_their_punctuation(done):
    done("w2v", "train", *TINY, *SPLIT, "--phrases", 1, "--phrase-threshold", 1, "train.txt", "-o", "v.lm")
    words = [line.split("\t")[0] for line in done("w2v", "export", "v.lm").text.splitlines()[1:]]
    phrase = next(line.split(" ")[0] for line in words if "_" in line.split(" ")[0])
    assert done("w2v", "similar", "-m", "v.lm", "-b", phrase.upper()).status == 0


def test_vectors_of_other_tools_have_no_place_for_it(vectors, done):
    exported = done("w2v", "export", vectors, "-o", "v.txt")
    assert "--normalize nfkc,lowercase --punctuation split cannot be stored in a file of vectors" in exported.stderr
    done("w2v", "import", "v.txt", "-o", "plain.lm")
    assert "normalize" not in content("plain.lm").tokenizer
    begun = done("w2v", "train", *TINY, *SPLIT, "--embeddings", vectors, "train.txt", "-o", "more.lm")
    assert "12 of 12 words start" in begun.stderr


def test_a_run_goes_on_only_under_the_same_options(done, fails, monkeypatch):
    from lmkit.commands.training_run.session import Session

    train = ["w2v", "train", "-q", *TINY, "train.txt", "-o", "v.lm"]
    with monkeypatch.context() as patched:
        patched.setattr(Session, "_write", Session.save)
        done(*train, "--normalize", "nfkc,lowercase")
    assert "normalize differ" in fails(4, *train, "--resume").stderr
    assert "normalize, punctuation differ" in fails(4, *train, "--resume", "--punctuation", "split").stderr
    done(*train, "--resume", "--normalize", "nfkc lowercase")


# Neural models.


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "form"), [("char", "lower"), ("word", "split")])
def test_a_network_learns_from_the_normal_form(tokens, form, done):
    options, _ = FORMS[form]
    train = ["train", "rnn", "--width", 8, "--steps", 3, "--tokens", tokens, "--min-count", 2]
    done(*train, *options, "train.txt", "-o", "a.lm")
    done(*train, f"train-{form}.txt", "-o", "b.lm")
    assert tensors("a.lm") == tensors("b.lm")
    assert content("a.lm").tokenizer["normalize"] == ["nfkc", "lowercase"]
    nats = [
        done("ppl", "--json", "-m", *pair).records[0]["nats"]
        for pair in (("a.lm", "test.txt"), ("b.lm", f"test-{form}.txt"))
    ]
    assert nats[0] == nats[1]


def test_a_transformer_takes_its_normalization_along(done):
    small = ["--layers", 1, "--width", 8, "--heads", 1, "--context", 8, "--steps", 1]
    done("train", "transformer", *small, "--tokens", "word", *SPLIT, "train.txt", "-o", "a.lm")
    done("convert", "a.lm", "-o", "folder")
    assert json.loads(Path("folder/tokenizer.json").read_text())["normalizer"]["normalizers"][1] == {"type": "NFKC"}
    perplexities = {done("ppl", "-b", "-m", name, "test.txt").text for name in ("a.lm", "folder")}
    assert len(perplexities) == 1
