"""Texts of tokens as they come, for every way to spell: always what all the tokens so far spell."""

import json
from functools import cache
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_tokenizers import TOY, Scheme, toy, trained

from lmkit.data.sequences import TextFormat, decode_text
from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.tokenization.formats import tokenizer_json
from lmkit.tokenization.streaming_decoder import StreamingDecoder
from lmkit.tokenization.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.tokenization.wordpiece import ListedTokenizer

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LLAMA = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
DECODERS = {
    "none": None,
    "byte-level": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "llama": LLAMA,
    "word-piece": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "bpe": {"type": "BPEDecoder", "suffix": "</w>"},
    "ctc": {"type": "CTC", "pad_token": "x", "word_delimiter_token": "|", "cleanup": True},
    "afterwards": {
        "type": "Sequence",
        "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "aa"}, "content": "x"}],
    },
}  # fmt: skip
ODD = ["▁", "▁▁", "a", "▁ab", "b</w>", "</w>", "##b", ".", "n't", "x", "|", " ", "ñ", "\ufffd", "Ġ", "Ã", "±", "ð", "€"]


@cache
def foreign(decoder):
    """A tokenizer.json over odd tokens and all bytes."""
    tokens = ["<unk>", "<s>", "</s>", *ODD, *BYTES]
    document = {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False}
            for number, name in enumerate(tokens[:3])
        ],
        "model": {"type": "WordLevel", "vocab": {token: n for n, token in enumerate(tokens)}, "unk_token": "<unk>"},
        "decoder": DECODERS[decoder],
    }  # fmt: skip
    return tokenizer_json.read(json.dumps(document).encode())


@cache
def own(name):
    words = Vocabulary.of([*NAMES, b"a", b"ab", "ñ".encode(), b"aab", b""])
    makers = {
        "word": lambda: WordTokenizer(words),
        "char": lambda: CharTokenizer(Vocabulary.of([*NAMES, b"a", b" ", "ñ".encode(), b"b"])),
        "byte": ByteTokenizer,
        "bpe": lambda: trained("low lower ñandú aab aaab".encode(), 8),
        "bpe-words": lambda: trained("".join(f"{word.split()[0].decode()} " for word in TOY).encode(), 8, CHAR),
        "toy": toy,
        "listed": lambda: ListedTokenizer({b"<unk>": 0, b"<s>": 1, b"</s>": 2, b"ab": 3, b"a": 4}, "##", None),
    }
    return makers[name]()


CHAR = Scheme(level="char", pattern="whitespace", end_of_word="</w>")
NAMES_OF_ALL = ["word", "char", "byte", "bpe", "bpe-words", "toy", "listed", *DECODERS]


def tokenizer_of(name):
    return foreign(name) if name in DECODERS else own(name)


def forms():
    return [
        TextFormat("line", 1, 2),
        TextFormat("stream", 2, 2),
        TextFormat("file", 1, 2, 1),
        TextFormat("stream", 1, None),
    ]


def drawn_ids(data, tokenizer):
    """Ids, of which bytes that make characters and runs of one kind are likely."""
    some = st.lists(st.integers(0, tokenizer.size - 1), min_size=1, max_size=6, unique=True)
    few = data.draw(some)
    ids = st.one_of(st.sampled_from(few), st.integers(0, tokenizer.size - 1), st.just(2))
    lists = st.lists(ids, max_size=14)
    if "<0xC3>" in (tokenizer.json or b"").decode():
        byte = len(ODD) + 3
        character = st.sampled_from(
            [[byte + b for b in "ñ€😀"[n].encode()][:cut] for n in range(3) for cut in (1, 2, 4)]
        )
        return data.draw(st.lists(st.one_of(character, lists), max_size=4).map(lambda parts: [*chain(*parts)]))
    return data.draw(lists)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", NAMES_OF_ALL)
@given(data=st.data())
@settings(max_examples=25)
def test_after_each_token_it_is_what_all_spell(name, data):
    tokenizer, form = tokenizer_of(name), data.draw(st.sampled_from(forms()))
    ids = drawn_ids(data, tokenizer)
    growing = StreamingDecoder(tokenizer, form)
    stable_length = b""
    for place, token in enumerate(ids):
        growing.branch().add(ids[:1])  # which changes nothing here
        growing.add([token])
        text = decode_text(tokenizer, form, ids[: place + 1])
        assert bytes(growing.text) == text
        assert text.startswith(stable_length)
        assert growing.stable_length >= len(stable_length)
        stable_length = text[: growing.stable_length]
    cut = data.draw(st.integers(0, len(ids)))
    together = StreamingDecoder(tokenizer, form)
    together.add(ids[:cut])
    together.add(ids[cut:])
    assert (together.text, together.stable_length) == (growing.text, growing.stable_length)


@pytest.mark.parametrize("name", ["byte-level", "metaspace", "llama", "word-piece", "bpe", "none"])
def test_long_texts_are_not_decoded_again_and_again(name):
    tokenizer = foreign(name)
    decoded = []

    class Counting:
        local, separator, is_byte = tokenizer.local, None, staticmethod(tokenizer.is_byte)

        def decode(self, ids):
            decoded.append(len(ids))
            return tokenizer.decode(ids)

    growing = StreamingDecoder(Counting(), TextFormat("line", 1, 2))
    for number in range(200):
        growing.add([3 + number % 10])
    assert max(decoded) < 12


# Stop strings.


def cut(tokenizer, form, ids, stops):
    """What a text is cut to, and after how many tokens: the definition."""
    for count in range(1, len(ids) + 1):
        text = decode_text(tokenizer, form, ids[:count])
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            return text[: min(places)], count
    return decode_text(tokenizer, form, ids), None


@pytest.mark.few(3)
@pytest.mark.parametrize("name", NAMES_OF_ALL)
@given(data=st.data())
@settings(max_examples=25)
def test_settled_pieces_make_the_text_before_the_first_stop(name, data):
    tokenizer, form = tokenizer_of(name), data.draw(st.sampled_from(forms()))
    ids = drawn_ids(data, tokenizer)
    text = decode_text(tokenizer, form, ids)
    parts = st.tuples(st.integers(0, len(text)), st.integers(1, 5)).map(lambda at: text[at[0] : at[0] + at[1]])
    stop = st.one_of(parts, st.sampled_from([b"aab", b"ab", b"\n", b" ", "ñ".encode(), b"\xb1", b"a a"]))
    stops = data.draw(st.lists(stop.filter(bool), max_size=3))
    expected, count = cut(tokenizer, form, ids, stops)
    transcript, told = StopStringMatcher(tokenizer, form, stops), b""
    asked = data.draw(st.booleans())
    for place, token in enumerate(ids):
        ended = transcript.add(token)
        assert ended == (place + 1 == count)
        if ended:
            break
        if asked:
            told += transcript.settled()
            assert expected.startswith(told)
    assert transcript.text == expected
    assert told + transcript.rest() == expected


def spelled(text, *stops):
    """A text of characters, told as it comes; and what is left when it has ended."""
    transcript = StopStringMatcher(ByteTokenizer(), TextFormat("line", 1, 2), stops)
    pieces = []
    for token in ByteTokenizer().encode(text).tolist():
        if transcript.add(token):
            return [*pieces, transcript.rest()], transcript.text
        pieces.append(transcript.settled())
    return [*pieces, transcript.rest()], transcript.text


def test_overlaps():
    assert spelled(b"aaab", b"aab") == ([b"", b"", b"a", b""], b"a")
    assert spelled(b"aaac", b"aab") == ([b"", b"", b"a", b"aac", b""], b"aaac")
    assert spelled(b"xabcy", b"bc", b"abcd")[1] == b"xa"
    assert spelled(b"xabcd", b"abcd", b"d") == ([b"x", b"", b"", b"", b""], b"x")


def test_of_stops_that_one_token_completes_the_one_that_begins_first():
    transcript = StopStringMatcher(own("word"), TextFormat("line", 1, 2), [b"b", b"aa"])
    assert transcript.add(6)
    assert transcript.text == b""
