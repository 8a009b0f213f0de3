"""Texts compressed with models of every kind."""

import contextlib
import math
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.compression import byte_fallback, quantized_distributions, text_codec
from lmkit.compression.quantized_distributions import Quantizer, exponentials
from lmkit.data.sequences import TextFormat
from lmkit.errors import CheckpointError, DataError
from lmkit.evaluation import perplexity
from lmkit.tokenization.normalization import Normalization
from lmkit.tokenization.tokenizers import ByteTokenizer, from_list

MODELS = (
    "word-0.lm", "witten-bell-3.lm", "modified-kneser-ney-2.lm", "mle-2.lm", "stupid-backoff-3.lm", "open-mle.lm",
    "char-witten-bell.lm", "char-katz.lm", "byte-modified-kneser-ney.lm", "four.arpa", "by-hand.arpa", "mixed.lm",
)  # fmt: skip
AWKWARD = (
    b"", b"\n", b"\n\n", b" ", b" \n", b"\t\n", b"\r\n", b"\r", b"\n\r", b"\0", b"\xff", b"\xef\xbb\xbfthe cat\n",
    b"the  cat\n", b" the cat", b"the cat \n", b"the\tcat\r\n", b"the cat\r\r\n", b"the cat\r", b"the\r\ncat\r",
    b"<s>", b"</s>\n", b"the </s> cat <s>\n", b"<unk>", b"the <unk> cat\n<unk> <unk>\n", b"<unk>x y<unk>", b"  <unk>  ",
    b"the dragon\n", b"dragon", b"thecat the cat", b"the catthe cat", b"dragon a dragon a  dragon\n",
    b"the\xff cat\xfe\n", b"ni\xc3\xb1a ni\xc3 \xb1a\n", "árbol ñ".encode(), "\ufffd \uffff\n".encode(),
    b"\xed\xa0\x80",
    b"a\x0bb\x0cc\x85d\xc2\xa0e\xe2\x80\xa8f\n", b"a" * 600, b"the cat " * 60, bytes(range(256)) * 2,
)  # fmt: skip
TEXT = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from([
            b"the", b"cat", b"dragon", b"a", b" ", b" ", b" ", b"  ", b"\n", b"\r\n", b"\t", b"\0", b"\xff", b"<unk>",
            b"</s>", b"<s>", "ñ".encode(), b"\xef\xbb\xbf", b"\r",
        ]),
        max_size=20,
    ).map(b"".join),
)  # fmt: skip


def there_and_back(model, text, chunk=7):
    """The compressed text, once it has been restored."""
    sizes, back = text_codec.Sizes(), text_codec.Sizes()
    packed = b"".join(text_codec.compress(model, pieces(text, chunk), sizes))
    assert b"".join(text_codec.decompress(model, pieces(packed, chunk), back)) == text
    assert (sizes.text_bytes, sizes.compressed_bytes) == (len(text), len(packed))
    assert vars(back) == vars(sizes)
    return packed


def pieces(data, size):
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MODELS)
def test_awkward_texts_come_back(name, opened):
    for text in AWKWARD:
        there_and_back(opened(name), text)


@pytest.mark.few(15)
def test_every_kind_of_model_brings_text_back(model):
    there_and_back(model, b"the cat  saw\tthe dragon\r\n\xff <unk> \xc3\xb1\n")


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=30)
@given(text=TEXT)
def test_any_bytes_come_back(name, text, opened):
    there_and_back(opened(name), text)


# Sizes.


def model_bits(model, text):
    return -perplexity.evaluate_block(model, text).nats / perplexity.LN2 if text else 0.0


WORDS = st.sampled_from(["the", "cat", "a", "dog", "saw", "niña", "árbol", "mat", "tree", "in", "on"])
LINES = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=12)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [name for name in MODELS if "stupid" not in name and "hand" not in name])
@settings(max_examples=40)
@given(lines=LINES, end=st.sampled_from(["\n", ""]))
@example(lines=["the cat sat on the mat"] * 300, end="\n")
@example(lines=["the"], end="")
def test_a_text_takes_the_models_bits_and_64(name, lines, end, opened):
    text = ("\n".join(lines) + end).encode()
    whole = text + b"\n" if text and not text.endswith(b"\n") else text
    assert 8 * len(there_and_back(opened(name), text, 1 << 16)) <= model_bits(opened(name), whole) + 64


def test_the_name_of_the_unknown_word_costs_what_the_unknown_word_does(opened):
    model = opened("small-vocabulary.lm")
    text = b"the <unk> cat <unk>\n<unk> <unk> <unk>\n" * 200
    assert 8 * len(there_and_back(model, text, 1 << 16)) <= model_bits(model, text) + 64


def test_carriage_returns_are_as_good_as_free(opened):
    model = opened("witten-bell-3.lm")
    lines = b"the cat sat on the mat\n" * 200
    packed = there_and_back(model, lines.replace(b"\n", b"\r\n"), 1 << 16)
    assert 8 * len(packed) <= model_bits(model, lines) + 64


def test_an_unknown_word_costs_its_letters(opened):
    """The words around it stay tokens, and the same word is cheaper again."""
    model = opened("witten-bell-3.lm")
    once, twice = b"the cat saw the dragon\n", b"the cat saw the dragon\n" * 2
    sizes = text_codec.Sizes()
    list(text_codec.compress(model, [b"the dragon saw  the\tbasilisk\n"], sizes))
    assert (sizes.tokens, sizes.escapes, sizes.raw_bytes) == (3, 3, len(b" dragon   \tbasilisk"))
    assert len(there_and_back(model, twice)) - len(there_and_back(model, once)) < 7


def test_memory_is_bounded_by_forgetting(opened, monkeypatch):
    model = opened("char-witten-bell.lm")
    text = b"the cat saw the dog and the dog saw the cat\n" * 5
    packed = there_and_back(model, text)
    monkeypatch.setattr(quantized_distributions, "ROOM", 5000)
    assert there_and_back(model, text) == packed


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MODELS)
def test_distributions_as_what_differs(name, opened, monkeypatch, shelf):
    """What large vocabularies get, with small ones: texts come back, and are as large as before but for rounding."""
    model = opened(name)
    texts = [b"\n".join(AWKWARD), shelf["corpus.txt"].read_bytes()]
    before = [len(there_and_back(model, text, 1 << 16)) for text in texts]
    made = []
    for kind in (quantized_distributions.Sparse, quantized_distributions.Dense):
        monkeypatch.setattr(kind, "choose", counting(kind.choose, made))
    monkeypatch.setattr(Quantizer, "LARGE", 2)
    after = [len(there_and_back(model, text, 1 << 16)) for text in texts]
    assert np.abs(np.subtract(after, before)).max() <= 1
    assert "Sparse" in made or name in ("mle-2.lm", "open-mle.lm")


def counting(choose, made):
    """The same method, which writes down for what class it was called."""

    def counted(self, coder, token):
        made.append(type(self).__name__)
        return choose(self, coder, token)

    return counted


# Long lines.


@pytest.mark.few(7)
@pytest.mark.parametrize("name", ["witten-bell-3.lm", "char-katz.lm", "byte-witten-bell.lm"])
@pytest.mark.parametrize(
    "text",
    [b"the cat saw a bird " * 30, b"the dragon\tsaw a  bird " * 20, b"dragon" * 60, "ñandú€😀".encode() * 30,
     b"the " * 40 + b"\r\nthe cat\n", b"\xff" * 100, b"the cat\tthe\t" * 30],
    ids=range(7),
)  # fmt: skip
def test_lines_longer_than_a_part(name, text, opened, monkeypatch):
    for part, run in ((16, 1 << 20), (64, 7), (1 << 20, 5), (50, 50)):
        monkeypatch.setattr(text_codec, "PART", part)
        monkeypatch.setattr(text_codec, "RUN", run)
        monkeypatch.setattr(byte_fallback, "RUN", run)
        there_and_back(opened(name), text)


def test_parts_of_a_line_cost_nothing(opened, monkeypatch):
    for name, text in (
        ("witten-bell-3.lm", b"the cat saw the dog " * 30 + b"the\n"),
        ("char-katz.lm", b"the cat\n" * 9),
    ):
        whole = there_and_back(opened(name), text)
        monkeypatch.setattr(text_codec, "PART", 32)
        assert there_and_back(opened(name), text) == whole
        monkeypatch.undo()


# Other models, other tokens.


class Pairs:
    """Tokens are bytes and some pairs of them; there is no unknown token."""

    kind = "pairs"
    separator = None
    local = False
    parses_specials = False
    specials = MappingProxyType({"eos": 0})
    digest = "pairs"
    pairs = (b"th", b"ca", b"at", b"\xc3\xb1")
    size = 1 + 256 + len(pairs)

    def piece(self, token):
        return b"</s>" if not token else bytes([token - 1]) if token < 257 else self.pairs[token - 257]

    def encode(self, text):
        ids, at = [], 0
        while at < len(text):
            pair = text[at : at + 2] in self.pairs
            ids.append(257 + self.pairs.index(text[at : at + 2]) if pair else 1 + text[at])
            at += 1 + pair
        return np.array(ids, np.int32)

    def decode(self, ids):
        return b"".join(map(self.piece, ids))


class Forgetful(Pairs):
    """Spells in small letters, whatever it read, and nothing before the first space."""

    digest = "forgetful"
    specials = MappingProxyType({"unk": 1, "eos": 0})

    def decode(self, ids):
        return super().decode(ids).lower().lstrip(b" ")


class Last:
    """Depends on the last token; its states can't be keys, and it thinks little of some tokens."""

    normalised = True

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.signature = {"kind": "last"}
        self.form = TextFormat("line", 0, 0)

    def start(self):
        return np.array([0])

    def advance(self, _state, token):
        return np.array([token])

    def next(self, state):
        logs = np.cos(np.arange(self.tokenizer.size) * (1.0 + state[0])) * 3
        logs[5] = -np.inf
        return logs - np.log(np.exp(logs).sum())


WORDS = [b"the", b"cat", b",", b"a", "ñ".encode(), b"fi"]
NORMALISING = {
    "words": from_list("word", WORDS, Normalization(("nfkc", "lowercase"), "split")),
    "bare-words": from_list("word", WORDS, Normalization(("lowercase",), "remove")),
    "characters": from_list("char", [bytes([letter]) for letter in b"abcehit ,"], Normalization(("nfkc", "lowercase"))),
    "bytes": ByteTokenizer(Normalization(("nfc", "lowercase"))),
}


@pytest.mark.parametrize("name", NORMALISING)
@given(
    text=TEXT
    | st.lists(st.sampled_from(["The ", "cat", ", ", "CAT,", "ﬁ", "n\u0303 ", "a"])).map(lambda t: "".join(t).encode())
)
def test_tokens_of_normal_forms_bring_the_text_back_as_it_was(name, text):
    there_and_back(Last(NORMALISING[name]), text)


@pytest.mark.parametrize("tokenizer", [Pairs(), Forgetful()], ids=["pairs", "forgetful"])
@settings(max_examples=80)
@given(text=TEXT)
def test_models_of_any_family(tokenizer, text):
    there_and_back(Last(tokenizer), text)


def test_awkward_texts_with_any_tokens():
    for text in AWKWARD:
        there_and_back(Last(Pairs()), text)
        there_and_back(Last(Forgetful()), text)


def test_tokens_without_an_unknown_one_need_no_escape():
    sizes = text_codec.Sizes()
    list(text_codec.compress(Last(Pairs()), ["the cat ñ\x07\xff\n".encode("latin-1")], sizes))
    assert sizes.escapes == sizes.raw_bytes == 0


class Impossible(Last):
    """Knows nothing that could follow."""

    def next(self, state):
        return np.full(self.tokenizer.size, -np.inf)


def test_a_model_that_thinks_nothing_possible():
    there_and_back(Impossible(Pairs()), b"the cat\n")


# Integers of distributions.


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=50), st.integers(0, 48))
def test_exponentials(logs, bits):
    np.testing.assert_allclose(exponentials(np.array(logs), bits), 2.0**bits * np.exp(logs), rtol=1e-8)


class Costs:
    """Stands for an encoder, and adds up what choices cost; `choices` are made instead, if given."""

    def __init__(self):
        self.total = 0.0

    def choose(self, ends, choice):
        start = ends[choice - 1] if choice else 0
        assert 0 <= start < ends[choice] <= ends[-1]
        self.total += math.log2(ends[-1]) - math.log2(ends[choice] - start)
        return choice


@pytest.mark.parametrize("unk", [0, 700, None])
@pytest.mark.parametrize("size", [300, 3000])
def test_distributions_keep_their_probabilities(unk, size):
    """The first one, one that differs in a few tokens but for a factor, and one that has nothing to do with it."""
    unk = unk if unk is None or unk < size else 5
    rng = np.random.default_rng(0)
    first = rng.normal(size=size) * 4
    first[7] = -np.inf
    few = np.where(rng.random(size) < 0.03, first + rng.normal(size=size) * 3, first - 2)
    few[[8, 9]] = -np.inf
    spiked = first - 15.0
    spiked[40] = 3.0
    rounding = Quantizer(size, unk)
    kinds = []
    for logs in (first, few, spiked, rng.normal(size=size) * 4, first):
        logs = logs - np.log(np.exp(logs).sum())
        made = rounding.integers(logs.copy())
        kinds.append(type(made).__name__)
        mass = 0.0
        for token in range(size + (unk is None)):
            costs = Costs()
            made.choose(costs, token)
            mass += 2.0**-costs.total
            if token == (size if unk is None else unk):
                assert 2.0**-costs.total > 1e-9
            elif logs[token] > -15:
                assert costs.total == pytest.approx(-logs[token] / math.log(2), abs=1e-5)
                assert costs.total < -logs[token] / math.log(2) + 3e-7
        assert mass == pytest.approx(1, abs=1e-9)
    assert kinds == (["Dense", "Sparse", "Sparse", "Dense", "Sparse"] if size > 1024 else ["Dense"] * 5)


# Refusals.


def test_another_models_text_is_refused(opened):
    names = ["witten-bell-3.lm", "witten-bell-2.lm", "katz-3.lm", "char-katz.lm", "mkn.arpa"]
    for name in names:
        packed = there_and_back(opened(name), b"the cat\n")
        for other in names:
            if other != name:
                with pytest.raises(CheckpointError, match="another model"):
                    list(text_codec.decompress(opened(other), [packed]))


def test_a_model_is_the_same_in_another_version(opened):
    class Later:
        def __getattr__(self, name):
            return getattr(opened("katz-3.lm"), name)

        signature = MappingProxyType({**opened("katz-3.lm").signature, "version": "99"})

    packed = b"".join(text_codec.compress(opened("katz-3.lm"), [b"the cat\n"]))
    assert b"".join(text_codec.decompress(Later(), [packed])) == b"the cat\n"


@pytest.mark.parametrize("data", [b"", b"\xa9", b"\xa9ab", b"\x89abcdef", b"the cat\n"])
def test_what_is_no_compressed_text(data, opened):
    with pytest.raises(DataError):
        list(text_codec.decompress(opened("katz-3.lm"), [data]))


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["witten-bell-3.lm", "mle-2.lm", "char-katz.lm", "byte-witten-bell.lm", "four.arpa"])
@settings(max_examples=40)
@given(data=st.data())
def test_damaged_texts_end(name, data, opened):
    """With an error, or with other text: few damages to short files go unnoticed, but some do."""
    model = opened(name)
    text = data.draw(st.sampled_from([b"the cat saw a bird\n" * 3, b"the dragon\xff sat \r\n\na", bytes(range(40))]))
    packed = b"".join(text_codec.compress(model, [text]))
    kind = data.draw(st.sampled_from(["cut", "changed", "longer", "junk"]))
    if kind == "cut":
        wrong = packed[: data.draw(st.integers(0, len(packed) - 1))]
    elif kind == "longer":
        wrong = packed + data.draw(st.binary(min_size=1, max_size=9))
    elif kind == "junk":
        wrong = packed[:4] + data.draw(st.binary(max_size=60))
    else:
        place = data.draw(st.integers(4, len(packed) - 1))
        wrong = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    if wrong == packed:
        return
    found = None
    with contextlib.suppress(DataError):
        found = b"".join(text_codec.decompress(model, [wrong]))
    assert found != text
