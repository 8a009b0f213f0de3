"""The Python interface: the numbers of the commands, errors as exceptions, notices as warnings."""

import subprocess
import sys
import warnings
from dataclasses import asdict, fields
from typing import get_type_hints

import numpy as np
import pytest

import lmkit as package
from lmkit.commands.loading.scoring_models import ScoringOptions
from lmkit.commands.options.generation import SearchOptions
from lmkit.commands.options.sampling import FilterOptions, SamplingOptions
from lmkit.errors import CheckpointError, DataError, LmkitWarning, UsageError
from lmkit.interface.arguments import Filters, Reading, Sampling
from lmkit.io.messages import Terminal
from lmkit.isolation import _Here, worker

MODELS = (
    "witten-bell-3.lm", "mkn.arpa", "byte-witten-bell.lm", "lstm.lm", "ffn-documents.lm", "transformer.lm",
    "transformer-stream.lm",
)  # fmt: skip


@pytest.fixture
def load(shelf):
    """Opens a file of the shelf, notices not shown."""

    def load(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LmkitWarning)
            return package.load(shelf[name])

    return load


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::lmkit.errors.LmkitWarning")
def test_numbers_are_those_of_the_commands(load, lmkit, shelf, name):
    model, path = load(name), shelf[name]
    assert isinstance(model, package.LanguageModel)
    lines = ["the cat", "", "a dog sat"]
    printed = lmkit("score", "--json", "-m", path, stdin="".join(f"{line}\n" for line in lines).encode()).records
    scored = [asdict(each) for each in model.score_many(lines)]
    assert [{key: one[key] for key in ("text", "nats", "tokens", "signature")} for one in scored] == [
        {key: value for key, value in one.items() if key != "line"} for one in printed
    ]
    test = shelf.folder / "test.txt"
    assert repr(model.perplexity(test)) == lmkit("ppl", "-b", "-m", path, test).text.strip()
    (total,) = lmkit("ppl", "--json", "-m", path, test).records
    assert {key: value for key, value in asdict(model.ppl(test)).items() if key in total} == {
        key: value for key, value in total.items() if key not in ("file", "model", "command")
    }
    (shown, *_), found = lmkit("next", "--json", "-m", path, "--prompt", "a").records, model.next("a", top=1)
    assert asdict(found[0]) == shown
    texts = lmkit("sample", "--json", "-m", path, "-n", "3", "--seed", "5", "--max-tokens", "9", "-k", "4").records
    made = [asdict(each) for each in model.sample(number=3, seed=5, max_tokens=9, top_k=4)]
    assert made == [{key: text[key] for key in made[0]} for text in texts]
    assert lmkit("bpe", "encode", "-m", path, stdin=b"the cat").text.split() == list(map(str, model.encode("the cat")))
    assert model.info()["digest"] == lmkit("info", "--json", path).records[0]["digest"]


def test_factors_and_searches_are_those_of_the_commands(load, lmkit, shelf):
    model, path = load("witten-bell-3.lm"), shelf["witten-bell-3.lm"]
    (shown,) = lmkit("score", "--json", "--explain", "--no-eos", "-m", path, stdin=b"the cat").records
    factors = model.score("the cat", explain=True, eos=False).factors
    assert [{**asdict(each), "context": list(each.context)} for each in factors] == shown["factors"]
    texts = lmkit("sample", "-m", path, "--prompt", "a", "--beam", "3", "-n", "2").lines
    assert [each.text for each in model.sample("a", beam=3, number=2)] == texts


def test_vectors_answer_as_the_commands(lmkit, work):
    vectors = "6 2\none 1 0\ntwo 0.9 0.1\nthree 0 1\nfour -1 0.2\nfive 0.5 0.5\nsix 0.7 -0.2\n"
    (work / "v.txt").write_text(vectors)
    assert lmkit("w2v", "import", "v.txt", "-o", "v.lm").status == 0
    opened = package.load("v.lm")
    assert isinstance(opened, package.WordVectors)
    near = [{"query": "one", **asdict(each)} for each in opened.similar("one", top=3)]
    assert near == lmkit("w2v", "similar", "--json", "--top", "3", "-m", "v.lm", "one").records
    for method in ("cosadd", "cosmul"):
        words = [each.word for each in opened.analogy("one", "two", "three", method=method)]
        assert (
            words == lmkit("w2v", "analogy", "-m", "v.lm", "--method", method, "-b", "one", "two", "three").text.split()
        )
    assert opened.vector("three").tolist() == [0.0, 1.0]
    assert ("one" in opened, "none" in opened, len(opened)) == (True, False, 6)
    with pytest.raises(DataError, match="no vector for 'none'"):
        opened.similar("none")
    with pytest.raises(UsageError, match="three words"):
        opened.analogy("one", "two")
    with pytest.raises(CheckpointError, match="of kind w2v, not a language model"):
        package.LanguageModel.load("v.lm")


def test_a_tokenizer_encodes_and_decodes(lmkit, shelf, work):
    assert lmkit("bpe", "train", "--vocab-size", "280", shelf.folder / "corpus.txt", "-o", "bpe.lm").status == 0
    tokenizer = package.load("bpe.lm")
    assert isinstance(tokenizer, package.Tokenizer)
    text = "the cat\nel árbol\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode_bytes(np.array(tokenizer.encode(b"\xff"))) == b"\xff"
    assert "".join(tokenizer.pieces("the cat")) == "the cat"
    assert tokenizer.encode("") == []
    assert len(package.Tokenizer.load(shelf["witten-bell-3.lm"])) > 10
    for wrong in ([len(tokenizer)], [-1], [1.5], ["a"]):
        with pytest.raises(DataError, match="is not an id"):
            tokenizer.decode(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature: -1 is out of range, expected at least 0"),
        ({"temperature": float("nan")}, "temperature: nan is not a finite number"),
        ({"top_k": "4"}, "top_k: expected int, got '4'"),
        ({"top_k": True}, "top_k: expected int, got True"),
        ({"number": 0}, "number: 0 is out of range"),
        ({"seed": -1}, "seed: -1 is out of range"),
        ({"greedy": True, "top_p": 0.5}, "--greedy and --top-p cannot be combined"),
        ({"stop": [""]}, "stop: an empty text"),
        ({"bos": "maybe"}, "bos: 'maybe' is not one of auto, always, never"),
        ({"number": 3, "beam": 2}, "-n 3 is more than --beam 2"),
        ({"prompt": 3}, "expected a text, got 3"),
        ({"prompt": "\ud800"}, "a lone surrogate"),
        ({"prompt": b"\xff"}, "not UTF-8: byte 0xff"),
    ],
)
def test_wrong_arguments_are_usage_errors(load, options, message):
    with pytest.raises(UsageError, match=message):
        load("witten-bell-3.lm").sample(**options)


def test_other_failures_are_exceptions(load, shelf, work):
    model = load("witten-bell-3.lm")
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        model.sample(temprature=1)
    with pytest.raises(UsageError, match="several lines"):
        model.score("a\nb")
    with pytest.raises(UsageError, match="no text"):
        model.perplexity()
    with pytest.raises(DataError, match=r"absent\.txt: No such file"):
        model.perplexity("absent.txt")
    (work / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match="the input is empty"):
        model.perplexity("empty.txt")
    with pytest.raises(CheckpointError, match="of kind ngram-counts, expected a language model"):
        package.load(shelf["counts.lm"])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_a_notice_is_a_warning_where_lmkit_was_called(load):
    model, before = load("witten-bell-3.lm"), Terminal.current
    with pytest.warns(LmkitWarning, match="unknown words in --prompt") as caught:
        model.next("the unicorn")
    assert [each.filename for each in caught] == [__file__]
    assert Terminal.current is before
    assert isinstance(worker(lambda _settings: bytes, {}), _Here)


def test_keywords_are_the_options_of_the_commands():
    def named(*groups):
        return {name: hint for group in groups for name, hint in get_type_hints(group).items()}

    assert get_type_hints(Filters) == named(FilterOptions)
    assert get_type_hints(Sampling) == named(SamplingOptions, SearchOptions)
    renamed = {"input_form": "input", "text_field": "field"}
    reading = {renamed.get(each.name, each.name) for each in fields(ScoringOptions)} - {"mix", "mix_text", "device"}
    assert set(get_type_hints(Reading)) == {*reading, "eos"}


def test_importing_loads_next_to_nothing():
    code = "import sys; before = set(sys.modules); import lmkit; print(*sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["lmkit"]
