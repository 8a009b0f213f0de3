"""Served tokenizers: text forges no reserved token, and no character is lost, against the library of the file."""

import json
from functools import cache

import numpy as np
import pytest
import tokenizers
from sentencepiece_models import KINDS, PROSE, RULES, model, processor
from unicode_texts import NFD, ODD, SNIPPETS, assigned, sequences, thin

from lmkit.errors import DataError
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.charsmap import Charsmap
from lmkit.tokenization.formats import sentencepiece, tokenizer_json

P, N, D, M = tokenizers.pre_tokenizers, tokenizers.normalizers, tokenizers.decoders, tokenizers.models
CHARACTERS = [thin(assigned(), 250), pytest.param(assigned(), marks=pytest.mark.slow)]
SEQUENCES = [(0, 150), pytest.param((1, 10_000), marks=pytest.mark.slow)]


@cache
def imported(kind, rule):
    return sentencepiece.read(model(kind, rule))


def encoded(own, texts):
    """Ids of each text, which are lines."""
    ids, ends = own.encode_block("".join(text + "\n" for text in texts).encode())
    return [part.tolist() for part in np.split(ids, ends[:-1])] if texts else []


# SentencePiece.


def check_as_sentencepiece(kind, rule, texts):
    """Raises AssertionError where ids differ; of unigram segmentations of one score either will do."""
    own, theirs = imported(kind, rule), processor(kind, rule)
    for text, ids in zip(texts, encoded(own, texts), strict=True):
        expected = theirs.encode(text)
        if ids != expected and kind == "unigram":
            assert theirs.decode(ids) == theirs.decode(expected), text
            scores = [sum(map(theirs.get_score, either)) for either in (ids, expected)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4), text
        else:
            assert ids == expected, text
        assert {1, 2}.isdisjoint(ids), text


@pytest.mark.few(1)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("characters", CHARACTERS, ids=["thin", "all"])
def test_every_character_as_in_sentencepiece(kind, rule, characters):
    check_as_sentencepiece(kind, rule, characters)
    check_as_sentencepiece(kind, rule, [f"a{one}b" for one in characters])


@pytest.mark.few(6)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", SEQUENCES, ids=["few", "many"])
def test_sequences_as_in_sentencepiece(kind, rule, sample):
    check_as_sentencepiece(kind, rule, [*NFD, *ODD, *SNIPPETS, *sequences(*sample)])


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_is_lost_where_bytes_stand_for_what_is_unknown(kind):
    own, theirs = imported(kind, "identity"), processor(kind, "identity")
    for text in [*NFD, *ODD, *sequences(2, 200)]:
        ids = own.encode(text.encode()).tolist()
        assert own.decode(ids).decode() == text.replace("▁", " ") == theirs.decode(ids)


def test_control_pieces_of_one_character_are_text():
    """sentencepiece itself finds those."""
    import io

    import sentencepiece as peer

    data = io.BytesIO()
    peer.SentencePieceTrainer.train(
        sentence_iterator=iter(PROSE), model_writer=data, minloglevel=2, model_type="bpe", vocab_size=420,
        hard_vocab_limit=False, normalization_rule_name="identity", control_symbols=["②"], byte_fallback=True,
    )  # fmt: skip
    own = sentencepiece.read(data.getvalue())
    ids = own.encode("a②".encode()).tolist()
    assert own.names["②".encode()] not in ids
    assert own.decode(ids).decode() == "a②"


# tokenizer.json.

NAMES = ["<unk>", "<s>", "</s>", "[MASK]", "<0x41>"]
WORDS = ["a", "b", "s", "the", "cat", "<", ">", "/", "[", "]", "M", "A", "K", "S", "<s", "s>", "0x41", "é", "x"]


def library(kind, *, added):
    """A tokenizer whose vocabulary lists special tokens, `added` or not."""
    ids = {name: token for token, name in enumerate(dict.fromkeys([*NAMES, *WORDS]))}
    if kind == "unigram":
        made = tokenizers.Tokenizer(M.Unigram([(piece, -1.0 - token / 9) for piece, token in ids.items()], unk_id=0))
    elif kind == "wordpiece":
        more = [f"##{word}" for word in WORDS]
        ids |= {piece: len(ids) + place for place, piece in enumerate(more)}
        made = tokenizers.Tokenizer(M.WordPiece(ids, unk_token="<unk>"))
        made.pre_tokenizer = P.WhitespaceSplit()
    elif kind == "wordlevel":
        made = tokenizers.Tokenizer(M.WordLevel(ids, unk_token="<unk>"))
        made.pre_tokenizer = P.WhitespaceSplit()
    else:
        ids |= {piece: len(ids) + place for place, piece in enumerate(["</", "</s"])}
        merges = [("<", "/"), ("</", "s"), ("</s", ">")]
        made = tokenizers.Tokenizer(M.BPE(ids, merges, unk_token="<unk>", ignore_merges=kind == "bpe-whole"))
        made.pre_tokenizer = P.WhitespaceSplit()
    if added:
        made.add_special_tokens(NAMES[:4])
    return made


def without_names(data):
    """The same file with reserved tokens out of reach: spelled by a character that no text here has."""
    document = json.loads(data)
    spelled = {name: f"\ufdd0{place}" for place, name in enumerate(NAMES[:4])}
    vocabulary = document["model"]["vocab"]
    document["model"]["vocab"] = (
        {spelled.get(piece, piece): token for piece, token in vocabulary.items()}
        if isinstance(vocabulary, dict)
        else [[spelled.get(piece, piece), score] for piece, score in vocabulary]
    )
    if "unk_token" in document["model"]:
        document["model"]["unk_token"] = spelled["<unk>"]
    merges = document["model"].get("merges", [])
    document["model"] |= {"merges": [pair for pair in merges if "".join(pair) not in NAMES]} if merges else {}
    document["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(document))


JSON_KINDS = ("unigram", "wordpiece", "wordlevel", "bpe", "bpe-whole")
FORGED = ["a </s> [MASK] a", "<unk>", "[MASK]", "x<s>", "</s>b", "<s></s>", "<s> <0x41>", *SNIPPETS]


@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_names_in_text_are_text(kind, added):
    data = library(kind, added=added).to_str()
    own, theirs = tokenizer_json.read(data.encode()), without_names(data)
    for text in [*FORGED, *sequences(3, 200)]:
        ids = own.encode(text.encode()).tolist()
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text
        assert {1, 2, 3}.isdisjoint(ids)


@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_names_in_text_are_tokens_when_asked(kind, added):
    made = library(kind, added=added)
    own = tokenizer_json.read(made.to_str().encode())
    made.add_special_tokens(NAMES[:4])
    encoder = own.encoder(Options(lines=False, parse=own.names))
    for text in ["a </s> [MASK] a", "x<s>", "</s>b", "<s></s>", "\U0010ffff<s>"]:
        assert encoder.encode(encoder.scan(text.encode()))[0].tolist() == made.encode(text).ids


def test_a_character_that_the_library_would_drop_is_an_error():
    made = library("bpe", added=True)
    document = json.loads(made.to_str())
    document["model"]["unk_token"] = None
    own = tokenizer_json.read(json.dumps(document).encode())
    assert own.encode(b"as").tolist() == [5, 7]
    with pytest.raises(DataError, match="a character that the vocabulary lacks"):
        own.encode("aλ".encode())


# Precompiled character maps in a tokenizer.json.


@cache
def precompiled():
    """The character map of a unigram tokenizer.json as converters write it, and that tokenizer."""
    charsmap = sentencepiece.parse(model("unigram", "nmt")).charsmap
    pieces = [(piece, score) for piece, score, _ in sentencepiece.parse(model("unigram", "nmt")).pieces]
    made = tokenizers.Tokenizer(M.Unigram(pieces, unk_id=0))
    made.normalizer = N.Sequence([N.Precompiled(charsmap), N.Replace(tokenizers.Regex(" {2,}"), " ")])
    made.pre_tokenizer = P.Metaspace()
    made.decoder = D.Metaspace()
    return charsmap, tokenizer_json.read(made.to_str().encode())


@pytest.mark.parametrize("characters", CHARACTERS, ids=["thin", "all"])
def test_every_character_in_the_normal_form_of_the_library(characters):
    charsmap, own = precompiled()
    library = N.Precompiled(charsmap)
    for one in characters:
        assert own._served.normalizer.normalize(one) == library.normalize_str(one)


@pytest.mark.parametrize("sample", SEQUENCES, ids=["few", "many"])
def test_sequences_in_the_normal_form_of_the_library_or_of_sentencepiece(sample):
    """The library's where it has one by one what the map says; else the longest keys, and so nothing is lost."""
    charsmap, made = precompiled()
    own, library, longest = made._served.normalizer, N.Precompiled(charsmap), Charsmap(charsmap)
    for text in [*NFD, *ODD, *sequences(*sample)]:
        form = own.normalize(text)
        if library.normalize_str(text) == text.translate(longest.single):
            assert form == library.normalize_str(text)
        if form not in (library.normalize_str(text), longest.apply(text)):
            assert len(form) >= len(longest.apply(text))  # some of it composed, some not


def test_nothing_is_lost_by_a_character_map():
    own = precompiled()[1]._served.normalizer
    assert own.normalize(NFD[0]) == "Tiếng Việt rất đẹp"
    assert own.normalize("3½\ufe0f ²\u20e3") == "31\u20442\ufe0f 2\u20e3"
