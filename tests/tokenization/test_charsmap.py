"""Character maps and SentencePiece's normalizer, against sentencepiece itself."""

import random

import pytest
from sentencepiece_models import RULES, model, processor
from unicode_texts import NFD, ODD, assigned, sequences, thin

from lmkit.errors import CheckpointError
from lmkit.tokenization.charsmap import Charsmap
from lmkit.tokenization.formats import sentencepiece
from lmkit.tokenization.normalizers import SentencePieceNormalizer

CHARACTERS = [thin(assigned(), 100), pytest.param(assigned(), marks=pytest.mark.slow)]
SEQUENCES = [(0, 200), pytest.param((1, 20_000), marks=pytest.mark.slow)]


def normalizer(rule):
    said = sentencepiece.parse(model("unigram", rule))
    charsmap = Charsmap(said.charsmap) if said.charsmap else None
    user = said.of(sentencepiece.USER_DEFINED)
    return SentencePieceNormalizer(charsmap, user, prefix=said.prefix, tidy=said.tidy)


@pytest.mark.few(2)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("characters", CHARACTERS, ids=["thin", "all"])
def test_every_character_in_the_normal_form_of_sentencepiece(rule, characters):
    own, theirs = normalizer(rule), processor("unigram", rule)
    for one in characters:
        for text in (one, f"a{one}b", f" {one} "):
            assert own.normalize(text) == theirs.normalize(text)


@pytest.mark.few(2)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sample", SEQUENCES, ids=["few", "many"])
def test_sequences_in_the_normal_form_of_sentencepiece(rule, sample):
    own, theirs = normalizer(rule), processor("unigram", rule)
    for text in [*NFD, *ODD, *sequences(*sample)]:
        assert own.normalize(text) == theirs.normalize(text)


def trie(*units):
    return (4 * len(units)).to_bytes(4, "little") + b"".join(unit.to_bytes(4, "little") for unit in units)


def test_damaged_maps_are_refused_or_read_but_never_break():
    good = sentencepiece.parse(model("unigram", "nmt")).charsmap
    assert Charsmap(trie(1 << 10, *[0] * 3) + b"x\0").apply("a") == "a"
    for data in (b"", good[:3], good[:1000], trie()):
        with pytest.raises(CheckpointError, match="a damaged character map"):
            Charsmap(data).apply("a")
    chance = random.Random(0)
    for _ in range(12):
        data = bytearray(good)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert mapped(bytes(data), "Tiê\u0301ng ½ ﾊﾞ")


def mapped(data, text):
    """A text under a map, or what is wrong with that."""
    try:
        return Charsmap(data).apply(text)
    except CheckpointError as error:
        return str(error)
