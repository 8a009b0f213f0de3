"""Texts compressed by arithmetic coding with any language model, and back. Knows no files.

A line costs what the model charges for its tokens and its end; the rest costs 64 bits at most
for text that the tokens can spell: bits of the file <= -log2 P(text) + 64. In detail:

- 32 bits of head: a byte that names the format, 24 bits of a digest of the model.
- Before each line, whether the text ends instead, and if so whether its last line feed is
  missing (a quarter of the chance). It is 1/(n+3)^2 after n lines, or 2^-20 if that is more: in
  all 20.9 bits at most with a line feed, 22.5 without, and 0.14 bits more for each 10^5 lines.
- After each line, whether it ended with a carriage return too: 0.6 bits in all where none of
  10^5 lines does, 3.5 where all do.
- Less than 8 bits where the coder stops (see `arithmetic`).
- Probabilities become integers of about 2^48 parts, at least one each: less than 10^-8 bits a
  token for a vocabulary of 10^5; each token gives 10^-7 bits for the escape below. Measured on a
  million characters: 0.05 bits.

The sum is 61.7 and 63.3 bits for 10^5 lines and stays below 64 up to 1.6 and 0.5 million lines;
half of the last 8 bits are not needed on average.

What the tokens can't spell goes behind an escape: the model's own unknown token, which is free
there, since no text that can be spelled needs it; 2^-24 is added, as some models find it
impossible. One flag tells whether the name of the unknown token itself is meant or raw bytes
(`adaptive.Bytes`). An unknown word is an escape and its letters with the spaces around it; the
model goes on after the tokens that those bytes encode to. Text is rebuilt from runs of tokens,
decoded together, and raw bytes between them, so that nothing is assumed of the tokenizer.

Both directions call `next` on the same states, one at a time, and turn its answer into integers
by operations whose results IEEE 754 fixes, so that files can be read on other machines, if the
model answers there alike: n-gram models do, those that multiply matrices need a machine of the kind.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from lmkit.errors import CheckpointError
from lmkit.protocols import LanguageModel
from lmkit.using.adaptive import Bytes, Flag
from lmkit.using.arithmetic import Coder, DamagedError, Decoder, Encoder
from lmkit.using.distributions import Distributions, Node
from lmkit.using.spelling import RUN, Speller

MAGIC = 0xA9
VERSION = "1"
HEAD = 4
BLOCK = 1 << 16
PART = 1 << 20  # bytes of a line that are looked at together
END, END_CUT, LINE = 0, 1, 2


class OtherModelError(CheckpointError):
    """The model is not the one that compressed the text."""


@dataclass
class Sizes:
    """What a text was turned into."""

    text_bytes: int = 0
    compressed_bytes: int = 0
    model_bits: float = 0.0
    """-log2 of the probability of tokens, escapes and ends of lines."""
    lines: int = 0
    tokens: int = 0
    escapes: int = 0
    raw_bytes: int = 0

    @property
    def bits_per_byte(self) -> float:
        """Bits of compressed text for a byte of text."""
        return 8 * self.compressed_bytes / self.text_bytes if self.text_bytes else 0.0


def identity(model: LanguageModel) -> bytes:
    """Three bytes that tell models apart: of a digest of tokens and signature, lmkit's version left out."""
    signature = {key: value for key, value in model.signature.items() if key != "version"}
    return hashlib.sha256(json.dumps([model.tokenizer.digest, signature]).encode()).digest()[: HEAD - 1]


class _Shared:
    """What a text's encoder and decoder do alike; a decoder ignores what it is told."""

    def __init__(self, model: LanguageModel, coder: Coder, sizes: Sizes) -> None:
        self.coder, self.sizes = coder, sizes
        self.distributions = Distributions(model)
        self.speller = Speller(model.tokenizer)
        self.eos = model.tokenizer.specials["eos"]
        self._named = Flag(1, 4)  # 0: raw bytes, 1: the unknown token's own name
        self._returned = Flag(4, 1)
        self._bytes = Bytes()

    def token(self, node: Node, token: int) -> int:
        """The next token, by the model."""
        before = self.coder.bits
        token = node.choose(self.coder, token)
        self.sizes.model_bits += self.coder.bits - before
        return token

    def boundary(self, event: int) -> int:
        """Whether a line follows, or the text ends, with its last line feed or without."""
        whole = 1 << 30
        end = max(whole >> 20, whole // (self.sizes.lines + 3) ** 2)
        return self.coder.choose((end - end // 4, end, whole), event)

    def line_end(self, returned: int) -> int:
        """Whether a carriage return stood before the line feed."""
        self.sizes.lines += 1
        return self._returned.code(self.coder, returned)

    def named(self, name: int) -> int:
        """After an escape: whether the unknown token's name is meant."""
        self.sizes.escapes += 1
        return self._named.code(self.coder, name)

    def raw(self, node: Node, piece: bytes) -> tuple[bytes, Node]:
        """Raw bytes, and where the model is after them."""
        piece = self._bytes.code(self.coder, piece, PART)
        self.sizes.raw_bytes += len(piece)
        for token in self.speller.tokens(piece):
            node = self.distributions.after(node, token)
        return piece, node


def compress(model: LanguageModel, chunks: Iterable[bytes], sizes: Sizes | None = None) -> Iterator[bytes]:
    """The compressed text in blocks, of a text that comes in chunks of any bytes."""
    sizes = sizes if sizes is not None else Sizes()
    encoder = Encoder()
    shared = _Shared(model, encoder, sizes)
    chunks = iter(chunks)
    first = next(chunks, b"")  # nothing is written where nothing can be read
    head = bytes([MAGIC]) + identity(model)
    sizes.compressed_bytes += len(head)
    yield head
    node: Node | None = None
    end = END
    for part, last, whole in _parts(chain([first], chunks), sizes):
        end = END if whole else END_CUT
        if node is None:
            shared.boundary(LINE)
            node = shared.distributions.start()
            shared.speller.begin()
        returned = last and part.endswith(b"\r")
        node = _encode(shared, node, part[:-1] if returned else part)
        if last:
            shared.token(node, shared.eos)
            shared.line_end(int(returned))
            node = None
        if len(encoder) >= BLOCK:
            sizes.compressed_bytes += len(encoder)
            yield encoder.take()
    shared.boundary(end)
    rest = encoder.finish()
    sizes.compressed_bytes += len(rest)
    yield rest


def _parts(chunks: Iterable[bytes], sizes: Sizes) -> Iterator[tuple[bytes, bool, bool]]:
    """Lines without their ends, long ones in parts: the bytes, whether they end it, whether by a line feed."""
    rest = bytearray()
    for chunk in chunks:
        sizes.text_bytes += len(chunk)
        begin = 0
        while (feed := chunk.find(b"\n", begin)) >= 0:
            rest += chunk[begin:feed]
            yield from _cut(rest)
            yield bytes(rest), True, True
            rest.clear()
            begin = feed + 1
        rest += chunk[begin:]
        yield from _cut(rest)
    if rest:
        yield bytes(rest), True, False


def _cut(rest: bytearray) -> Iterator[tuple[bytes, bool, bool]]:
    """Parts of a line that is longer than one; something is left. Words and characters stay whole where they can."""
    while len(rest) > PART:
        place = rest.rfind(b" ", 1, PART)
        if place < 0:
            place = PART
            while place > PART - 4 and rest[place] & 0xC0 == 0x80:
                place -= 1
        yield bytes(rest[:place]), False, False
        del rest[:place]


def _encode(shared: _Shared, node: Node, part: bytes) -> Node:
    """Codes a part of a line; gives where the model is after it."""
    unk = shared.speller.unk
    for item in shared.speller.items(part):
        if isinstance(item, bytes):
            shared.token(node, unk)
            shared.named(0)
            _, node = shared.raw(node, item)
            continue
        for token in item:
            shared.token(node, token)
            if token == unk:
                shared.named(1)
            node = shared.distributions.after(node, token)
        shared.sizes.tokens += len(item)
    return node


def decompress(model: LanguageModel, chunks: Iterable[bytes], sizes: Sizes | None = None) -> Iterator[bytes]:
    """The text in blocks. Raises OtherModelError or DamagedError."""
    sizes = sizes if sizes is not None else Sizes()
    decoder = Decoder(_behind_head(model, chunks, sizes))
    shared = _Shared(model, decoder, sizes)
    out = bytearray()
    feed = b""
    while (event := shared.boundary(LINE)) == LINE:
        out += feed
        for piece in _decode_line(shared):
            out += piece
            if len(out) >= BLOCK:
                sizes.text_bytes += len(out)
                yield bytes(out)
                out.clear()
        feed = b"\r\n" if shared.line_end(0) else b"\n"
    decoder.finish()
    out += feed if event == END else feed[:-1]
    sizes.text_bytes += len(out)
    yield bytes(out)


def _behind_head(model: LanguageModel, chunks: Iterable[bytes], sizes: Sizes) -> Iterator[bytes]:
    """What follows the head, once it is found to be this model's."""
    chunks = iter(chunks)
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, None)) is not None:
        sizes.compressed_bytes += len(chunk)
        head += chunk
    if not head:
        raise DamagedError("empty, so not a compressed text")
    if head[0] != MAGIC:
        raise DamagedError("not a text that lmkit compressed")
    if len(head) < HEAD:
        raise DamagedError("damaged or cut off")
    if head[1:HEAD] != identity(model):
        raise OtherModelError("compressed with another model")
    yield head[HEAD:]
    for chunk in chunks:
        sizes.compressed_bytes += len(chunk)
        yield chunk


def _decode_line(shared: _Shared) -> Iterator[bytes]:
    """The bytes of a line without its end."""
    node = shared.distributions.start()
    unk, decode = shared.speller.unk, shared.speller.decode
    run: list[int] = []
    while (token := shared.token(node, 0)) != shared.eos:
        if token == unk and not shared.named(0):
            yield decode(run)
            run.clear()
            piece, node = shared.raw(node, b"")
            yield piece
            continue
        if not shared.speller.can_name(token):
            raise DamagedError("damaged: a token that no text has")
        run.append(token)
        node = shared.distributions.after(node, token)
        shared.sizes.tokens += 1
        if len(run) == RUN:
            yield decode(run)
            run.clear()
    yield decode(run)
