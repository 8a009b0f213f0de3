"""Bytes as visible characters: the one-to-one mapping that byte-level vocabularies are written in.

A byte that is a printable character of Latin-1 represents itself; the others take the
characters from U+0100 on, in order (Radford et al. 2019).
"""

from collections.abc import Iterator

_PRINTABLE = frozenset([*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)])


def _characters() -> Iterator[str]:
    later = 0x100
    for byte in range(256):
        if byte in _PRINTABLE:
            yield chr(byte)
        else:
            yield chr(later)
            later += 1


BYTE_TO_CHARACTER: tuple[str, ...] = tuple(_characters())
CHARACTER_TO_BYTE: dict[str, int] = {character: byte for byte, character in enumerate(BYTE_TO_CHARACTER)}


def visible(piece: bytes) -> str:
    """A piece with every byte as its visible character."""
    return piece.decode("latin-1").translate(BYTE_TO_CHARACTER)


def from_visible(text: str) -> bytes:
    """The bytes of a visible piece. Raises KeyError for a character that represents no byte."""
    return bytes([CHARACTER_TO_BYTE[character] for character in text])
