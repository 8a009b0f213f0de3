"""Text to ids and back: against the tokenizers library, whatever the blocks, and with every option."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_tokenizers import CHAR, PROSE, library, telling_bytes, telling_text, toy, trained

from lmkit.errors import DataError
from lmkit.tokenization.bpe import chunks, encoding, pretokenization
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.bpe.scheme import PATTERNS, Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.vocabulary import Vocabulary

MIXED = (
    PROSE[:30_000]
    + "I'll don't a  b   c 12345 ½¼² ¿qué? é'é !!\n\n x\ty\u00a0z 中中 😀😀 'S'LL\r\n [M] <s>[M]\n".encode() * 20
)
OWN = r"\d+|[^\d ]+| "
TOKENIZERS = {name: trained(MIXED, 300, Scheme(pattern=name), [b"[M]", b"[M]]"]) for name in (*PATTERNS, OWN)}
OTHERS = {name: library(tokenizer) for name, tokenizer in TOKENIZERS.items()}
WORDS = toy(special=[b"[M]", b"[M]]"])
every_pattern = pytest.mark.parametrize("pattern", TOKENIZERS)
some_bytes = st.one_of(st.binary(max_size=40), telling_bytes, st.sampled_from(PROSE.splitlines(keepends=True)))


def encoded(tokenizer, blocks, options):
    """Ids of blocks, and how many precede each line's end."""
    encoder, ids, ends = tokenizer.encoder(options), [], []
    for block in blocks:
        found, line_ends = encoder.encode(encoder.scan(block))
        ends += (line_ends + len(ids)).tolist()
        ids += found.tolist()
    return ids, ends


def lines_of(tokenizer, text, **options):
    """The ids of each line of a text."""
    ids, ends = encoded(tokenizer, [text], Options(**options))
    return [ids[begin:end] for begin, end in zip([0, *ends], [*ends, len(ids)], strict=True)]


# There and back.


@pytest.mark.few(2)
@every_pattern
@settings(max_examples=30)
@given(some_bytes)
@example(bytes(range(256)))
@example(b"- -\0 -\0\0 \0\1 \0 -")
@example("a\0b\r\n😀\xff \n\n x".encode() + b"\xff\xf0\x9f\n")
def test_any_bytes_come_back(pattern, text):
    tokenizer = TOKENIZERS[pattern]
    ids, ends = encoded(tokenizer, [text], Options(lines=False))
    assert tokenizer.decode(ids) == text
    assert ends == []
    assert not {*ids} & {*tokenizer.names.values()}
    lines = text.split(b"\n")
    assert [tokenizer.decode(line) for line in lines_of(tokenizer, text)] == lines
    assert tokenizer.decode(tokenizer.encode(lines[0])) == lines[0]


@pytest.mark.parametrize("form", ["nfc", "nfkc", "lowercase"])
@settings(max_examples=20)
@given(telling_text)
@example("N\u0303 ﬁ İ Σ ς ß")
def test_text_comes_back_in_normal_form(form, text):
    import unicodedata

    tokenizer = BPETokenizer(
        TOKENIZERS["gpt2"].vocabulary, TOKENIZERS["gpt2"].merges.pairs, Scheme(normalize=(form,)),
        TOKENIZERS["gpt2"].names, {},
    )  # fmt: skip
    wanted = "".join(map(str.lower, text)) if form == "lowercase" else unicodedata.normalize(form.upper(), text)
    assert tokenizer.decode(encoded(tokenizer, [text.encode()], Options(lines=False))[0]).decode() == wanted
    assert [tokenizer.decode(ids) for ids in lines_of(tokenizer, b"\xff\n\xfe")] == [b"\xff", b"\xfe"]


# The tokenizers library.


@pytest.mark.few(2)
@every_pattern
@settings(max_examples=50)
@given(st.lists(st.one_of(telling_text, st.sampled_from(PROSE.decode().splitlines())), max_size=4))
def test_ids_are_those_of_the_library(pattern, texts):
    tokenizer, other = TOKENIZERS[pattern], OTHERS[pattern]
    text = "\n".join(texts)
    assert lines_of(tokenizer, text.encode()) == [other.encode(line).ids for line in text.split("\n")]
    parts = re.findall(r"[^\n]*\n|[^\n]+", text) if pattern in ("none", OWN) else [text]
    whole = [token for part in parts for token in other.encode(part).ids]
    assert encoded(tokenizer, [text.encode()], Options(lines=False))[0] == whole


def test_ids_of_prose_are_those_of_the_library():
    tokenizer = trained(PROSE, 1000)
    wanted = [each.ids for each in library(tokenizer).encode_batch(PROSE.decode().split("\n"))]
    assert lines_of(tokenizer, PROSE) == wanted


# Blocks.


@pytest.mark.few(1)
@every_pattern
@pytest.mark.parametrize("lines", [True, False])
@settings(max_examples=30)
@given(st.lists(some_bytes, max_size=5).map(b"".join), st.lists(st.integers(1, 7), min_size=1), st.data())
def test_text_may_come_in_any_pieces(pattern, lines, text, sizes, data):
    tokenizer = TOKENIZERS[pattern]
    large, unsettled = data.draw(st.sampled_from([(chunks.LARGE, 5), (20, 5), (1, 5), (60, 5)]))
    parse = data.draw(st.sampled_from([None, tokenizer.names]))
    dropout = data.draw(st.sampled_from([0.0, 0.5]))
    options = Options(lines=lines, parse=parse, dropout=dropout, seed=3)
    pieces, place = [], 0
    while place < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[place : place + size])
        place += size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "LARGE", large)
        patch.setattr(chunks, "UNSETTLED", unsettled)
        margin = max(map(len, parse)) if parse else 0
        blocks = list(chunks.blocks(pieces, tokenizer.scheme, lines=lines, margin=margin))
    assert b"".join(blocks) == text
    assert all(blocks)
    assert encoded(tokenizer, blocks, options) == encoded(tokenizer, [text] * bool(text), options)


@pytest.mark.few(3)
@every_pattern
@pytest.mark.parametrize("lines", [True, False])
def test_a_long_line_is_cut(pattern, lines, monkeypatch):
    monkeypatch.setattr(chunks, "LARGE", 1000)
    monkeypatch.setattr(pretokenization, "LONGEST", 100)
    text = MIXED[:20_000].replace(b"\n", b" ")
    blocks = list(chunks.blocks([text[place : place + 64] for place in range(0, len(text), 64)],
                                TOKENIZERS[pattern].scheme, lines=lines))  # fmt: skip
    assert max(map(len, blocks)) < 4000
    options = Options(lines=lines)
    assert encoded(TOKENIZERS[pattern], blocks, options) == encoded(TOKENIZERS[pattern], [text], options)


def test_lines_are_let_go_as_they_come():
    for lines in (True, False):
        blocks = chunks.blocks(iter([b"one\n", b"two\nth", b"ree\n"]), Scheme(), lines=lines)
        assert list(blocks) == ([b"one\n", b"two\n", b"three\n"] if lines else [b"one\ntwo\n", b"three\n"])


@pytest.mark.slow
def test_threads_may_share_a_tokenizer(monkeypatch):
    monkeypatch.setattr(encoding, "REMEMBERED", 50)
    tokenizer = trained(MIXED, 300)
    lines = PROSE[:60_000].splitlines(keepends=True)
    wanted = [tokenizer.encode_block(line)[0].tolist() for line in lines]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda line: tokenizer.encode_block(line)[0].tolist(), lines))
    finally:
        sys.setswitchinterval(interval)
    assert found == wanted


@pytest.mark.few(2)
@every_pattern
@settings(max_examples=20)
@given(st.lists(st.sampled_from(PROSE.splitlines(keepends=True)), max_size=8), st.integers(0, 9))
def test_forgetting_changes_nothing(pattern, blocks, remembered):
    tokenizer = TOKENIZERS[pattern]
    wanted = encoded(tokenizer, blocks, Options())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "REMEMBERED", remembered)
        assert encoded(tokenizer, blocks, Options()) == wanted


# Special tokens.


@pytest.mark.few(2)
@every_pattern
@settings(max_examples=30)
@given(st.lists(st.one_of(telling_bytes, st.sampled_from([b"[M]", b"[M]]", b"<s>", b"</s>"])), max_size=7))
def test_special_tokens_are_atoms_where_they_are_parsed(pattern, parts):
    tokenizer = TOKENIZERS[pattern]
    parse = tokenizer.names
    text = b"".join(parts)
    plain = encoded(tokenizer, [text], Options(lines=False))[0]
    assert not {*plain} & {*parse.values()}
    assert tokenizer.decode(plain) == text
    wanted, rest = [], text
    while rest:
        found = [(rest.find(name), -len(name), name) for name in parse if name in rest]
        place, _, name = min(found) if found else (len(rest), 0, b"")
        wanted += encoded(tokenizer, [rest[:place]], Options(lines=False))[0] + [parse[name] for _ in found[:1]]
        rest = rest[place + len(name) :]
    parsed = encoded(tokenizer, [text], Options(lines=False, parse=parse))[0]
    assert parsed == wanted
    assert tokenizer.decode(parsed) == text


def test_special_tokens_of_words():
    names = WORDS.names
    low, new, unknown = WORDS.encode(b"low").tolist(), WORDS.encode(b"newest").tolist(), names[b"<unk>"]
    mask, longer = names[b"[M]"], names[b"[M]]"]
    end = [WORDS.vocabulary.pieces().index(b" ")]
    assert lines_of(WORDS, b"low [M]\n", parse=names) == [[*low, mask], []]
    assert lines_of(WORDS, b"[M]low[M]][M]newest\n\n[M]\n", parse=names) == [
        [mask, *low, longer, mask, *new], [], [mask], []
    ]  # fmt: skip
    assert lines_of(WORDS, b"low [M]\n") == [[*low, unknown, unknown, unknown, *end], []]


def test_names_are_in_no_normal_form():
    tokenizer = BPETokenizer(
        TOKENIZERS["gpt2"].vocabulary, TOKENIZERS["gpt2"].merges.pairs, Scheme(normalize=("lowercase",)),
        TOKENIZERS["gpt2"].names, {},
    )  # fmt: skip
    ids = encoded(tokenizer, ["Ñ[M]A [m]".encode()], Options(lines=False, parse=tokenizer.names))[0]
    assert tokenizer.decode(ids).decode() == "ñ[M]a [m]"
    assert ids.count(tokenizer.names[b"[M]"]) == 1


# Dropout.


@every_pattern
@settings(max_examples=20)
@given(some_bytes, st.floats(0.01, 1), st.integers(0, 2**63), st.booleans())
def test_dropout_spells_the_same_text(pattern, text, dropout, seed, lines):
    tokenizer, options = TOKENIZERS[pattern], Options(lines=lines, dropout=dropout, seed=seed)
    ids, ends = encoded(tokenizer, [text], options)
    assert tokenizer.decode(ids) == (text.replace(b"\n", b"") if lines else text)
    assert len(ends) == (text.count(b"\n") if lines else 0)
    assert encoded(tokenizer, [text], options) == (ids, ends)


def test_dropout_of_all_is_bytes():
    tokenizer = TOKENIZERS["gpt2"]
    ids, _ = encoded(tokenizer, [MIXED], Options(lines=False, dropout=1.0))
    assert [tokenizer.piece(token) for token in ids] == [bytes([byte]) for byte in MIXED]
    options = Options(lines=False, dropout=1.0, parse={b"[M]": 3})
    assert encoded(tokenizer, [b"a[M]b"], options)[0] == [*tokenizer.encode(b"a"), 3, *tokenizer.encode(b"b")]


def test_dropout_differs_by_seed_and_place():
    tokenizer = TOKENIZERS["gpt2"]
    lines = lines_of(tokenizer, b" documentation" * 3 + b"\n" + b" documentation" * 3, dropout=0.5)
    other = lines_of(tokenizer, b" documentation" * 3 + b"\n" + b" documentation" * 3, dropout=0.5, seed=1)
    assert len({*map(tuple, [*lines, *other])}) == 4
    whole = encoded(tokenizer, [b" documentation" * 200], Options(lines=False, dropout=0.5))[0]
    assert len(whole) > 1.2 * len(encoded(tokenizer, [b" documentation" * 200], Options(lines=False))[0])


@settings(max_examples=20)
@given(st.lists(st.sampled_from([b"low lower newest\n", b"\n", b"widest\n", b" \n", b"lowest new\n"])), st.data())
def test_dropout_of_words_does_not_depend_on_blocks(lines, data):
    text = b"".join(lines)
    cut = len(b"".join(lines[: data.draw(st.integers(0, len(lines)))]))
    options = Options(dropout=0.5, seed=2)
    blocks = [block for block in (text[:cut], text[cut:]) if block]
    assert encoded(WORDS, blocks, options) == encoded(WORDS, [text] * bool(text), options)


# Pieces that may appear.


@every_pattern
@settings(max_examples=20)
@given(some_bytes, st.integers(0, 2**32))
def test_pieces_that_are_not_allowed_fall_apart_as_they_were_merged(pattern, text, seed):
    tokenizer = TOKENIZERS[pattern]
    allowed = np.random.default_rng(seed).random(tokenizer.size) < 0.6
    parts = {}
    for left, right, merged in tokenizer.merges.pairs.tolist():
        parts.setdefault(merged, (left, right))

    def apart(token):
        if allowed[token] or token not in parts:
            return [token]
        return [*apart(parts[token][0]), *apart(parts[token][1])]

    wanted = [[part for token in line for part in apart(token)] for line in lines_of(tokenizer, text)]
    assert lines_of(tokenizer, text, allowed=allowed) == wanted
    assert lines_of(tokenizer, text, allowed=np.ones(tokenizer.size, dtype=bool)) == lines_of(tokenizer, text)


# Pre-tokens that are pieces.


def test_a_pre_token_that_is_a_piece_is_taken_whole():
    alphabet = [bytes([byte]) for byte in range(256)]
    pieces = Vocabulary.of([*alphabet, b"ab", b"abc", b"bc", b"<s>"])
    pairs = np.array([[98, 99, 258], [97, 98, 256]], dtype=np.int32)
    for whole, wanted in ((False, [[97, 258], [256], [97, 258, 258]]), (True, [[257], [256], [97, 258, 258]])):
        tokenizer = BPETokenizer(pieces, pairs, Scheme(pattern="whitespace", whole_first=whole), {b"<s>": 259}, {})
        assert lines_of(tokenizer, b"abc\nab\nabcbc") == wanted
        assert lines_of(tokenizer, b"<s>") == [[60, 115, 62]]
        assert lines_of(tokenizer, b"<s>", parse=tokenizer.names) == [[259]]


# Words of characters.


def spelled(tokenizer, text):
    return [tokenizer.piece(token) for token in tokenizer.encode(text).tolist()]


def test_words_end_with_their_mark():
    assert spelled(WORDS, b"low lowest\tnewer  widest") == [
        b"low ", b"low", b"est ", b"new", b"e", b"r", b" ", b"wi", b"d", b"est ",
    ]  # fmt: skip
    assert WORDS.decode(WORDS.encode(b" low \r lowest\t\0newer ").tolist()) == b"low lowest newer"
    assert WORDS.decode([]) == b""


def test_characters_that_were_not_seen_are_unknown():
    assert spelled(WORDS, "xlow ñx".encode()) == [b"<unk>", b"low ", b"<unk>", b"<unk>", b" "]
    without = BPETokenizer(WORDS.vocabulary, WORDS.merges.pairs, CHAR, WORDS.names, {})
    assert spelled(without, b"low") == [b"low "]
    with pytest.raises(DataError, match="no unknown token"):
        without.encode(b"x")


def test_a_mark_may_be_part_of_the_last_character():
    pieces = [b"<unk>", b"a", b"b", b"a ", b"b ", b"ab ", b"aa", "ñ ".encode()]
    scheme = Scheme(level="char", pattern="whitespace", end_of_word="</w>", fused=True)
    tokenizer = BPETokenizer(
        Vocabulary.of(pieces), np.array([[1, 4, 5], [1, 1, 6]], dtype=np.int32), scheme, {b"<unk>": 0}, {"unk": 0}
    )
    assert tokenizer.encode("ab aa aaab ñ ñb b".encode()).tolist() == [5, 1, 3, 6, 5, 7, 0, 4, 4]
    assert tokenizer.decode(tokenizer.encode(b"ab  aa").tolist()) == b"ab aa"


@settings(max_examples=30)
@given(st.lists(st.text("lowernstid", min_size=1, max_size=80), max_size=5), st.floats(0, 1))
def test_words_come_back(words, dropout):
    text = " ".join(words).encode()
    assert WORDS.decode(lines_of(WORDS, text + b"\n", dropout=dropout)[0]) == text


def test_a_tokenizer_says_what_it_is():
    tokenizer = TOKENIZERS["gpt2"]
    assert (tokenizer.kind, tokenizer.size) == ("bpe", 5 + 256 + 300)
    assert tokenizer.specials == {"unk": 0, "bos": 1, "eos": 2}
    assert tokenizer.decode([1, *tokenizer.encode(b"a"), 2]) == b"<s>a</s>"
    assert WORDS.ends_words
    assert not tokenizer.ends_words
    assert len({each.digest for each in TOKENIZERS.values()}) == len(TOKENIZERS)
    same = BPETokenizer(tokenizer.vocabulary, tokenizer.merges.pairs, Scheme(), tokenizer.names, tokenizer.specials)
    assert same.digest == tokenizer.digest
    fewer = BPETokenizer(tokenizer.vocabulary, tokenizer.merges.pairs[:-1], Scheme(), tokenizer.names, {})
    assert fewer.digest != tokenizer.digest
