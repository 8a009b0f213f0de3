"""Texts that tokenizers are tried on: all assigned characters, and random sequences of characters that combine."""

import random
import unicodedata
from functools import cache

SNIPPETS = [
    "<x>", "<s>", "</s>", "<unk>", "<cls>", "<sep>", "[MASK]", "<0x0A>", "<0x41>", "0x41>", "①", "②", "▁", " ▁",
    "<", " ", "  ", "\t", "\u00a0", "\u200b", "\u200d", "\u3000", "\x01", "the", "of", "\U0010ffff", "\U000f0000",
]  # fmt: skip
NFD = [unicodedata.normalize("NFD", text) for text in ("Tiếng Việt rất đẹp", "Ọ̀rúnmìlà ẹ̀kọ́", "한국어", "かがポ")]
ODD = ["3½️ ²⃣", "👋🏽", "👩‍👩‍👧", "a\u0301\u0302\u0303", "e\u0323\u0302", "\u0344", "Å", "ﬁ", "ﷺ", "ﾊﾞﾊﾟ", "क़", "ৌ"]


def scalars():
    """Every character that Unicode may have."""
    return (chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)


@cache
def assigned():
    """All characters of this Python's Unicode but line feed, private and unassigned ones."""
    return [one for one in scalars() if unicodedata.category(one) not in ("Cn", "Co") and one != "\n"]


@cache
def combining():
    """All characters that combine with the one before."""
    return [one for one in assigned() if unicodedata.category(one)[0] == "M"]


def thin(characters, step):
    """Every so manieth character, and all of those up to U+024F."""
    return [one for place, one in enumerate(characters) if place % step == 0 or one < "\u0250"]


def _word(chance):
    way = chance.random()
    if way < 0.3:
        marks = chance.choices([chr(point) for point in range(0x300, 0x345)], k=chance.randrange(4))
        return chance.choice("aeiouAEIOUxyế½²3") + "".join(marks)
    if way < 0.4:
        return "".join(chr(chance.randrange(0x1100, 0x1200)) for _ in range(chance.randint(1, 4)))
    if way < 0.5:
        return unicodedata.normalize("NFD", chance.choice(assigned()))
    if way < 0.6:
        return chance.choice(assigned()) + "".join(chance.choices(combining(), k=chance.randrange(3)))
    return chance.choice(SNIPPETS) if way < 0.8 else chance.choice(assigned())


def sequences(seed, count):
    """Random texts of a line each."""
    chance = random.Random(seed)
    return ["".join(_word(chance) for _ in range(chance.randrange(9))) for _ in range(count)]
