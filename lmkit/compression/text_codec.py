"""Texts compressed by arithmetic coding with any language model, and back. Knows no files.

A text is coded as `LanguageModel.read` reads it: each line from the model's start where the model reads lines, else as
one stream, with contexts that reach over line ends and windows that move on by the model's stride. So it costs what the
model charges for its tokens and ends of lines; the rest costs 64 bits at most for text that the tokens can spell:
bits of the file <= -log2 P(text) + 64. In detail:

- 32 bits of head: a byte that names the format, 24 bits of a digest of the model.
- Before each line, whether the text ends instead, and if so whether its last line feed is
  missing (a quarter of the chance). It is 1/(n+3)^2 after n lines, or 2^-20 if that is more: in
  all 20.9 bits at most with a line feed, 22.5 without, and 0.14 bits more for each 10^5 lines.
- After each line, whether it ended with a carriage return too: 0.6 bits in all where none of
  10^5 lines does, 3.5 where all do.
- Where line ends are text to the model there are no lines: before each token, whether the text ends instead, with the
  same chances after n tokens. Where it reads documents between blank lines, before each document whether another blank
  line follows, 0.6 bits in all where none of 10^5 does.
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
model continues after the tokens that those bytes encode to. Text is rebuilt from runs of tokens,
decoded together, and raw bytes between them, so that nothing is assumed of the tokenizer.

Both directions call `next` on the same states, one at a time, and turn its answer into integers
by operations whose results IEEE 754 fixes, so that files can be read on other machines, if the
model answers there alike: n-gram models do, those that multiply matrices need a machine of the kind.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from lmkit.compression.adaptive_models import AdaptiveBit, AdaptiveBytes
from lmkit.compression.arithmetic_coder import Coder, DamagedError, Decoder, Encoder
from lmkit.compression.byte_fallback import RUN, ByteFallbackSegmenter
from lmkit.compression.line_contexts import LineContexts
from lmkit.compression.quantized_distributions import Distributions, Node
from lmkit.data.sequences import reaches_over_lines
from lmkit.errors import CheckpointError
from lmkit.protocols import I32, LanguageModel, Tokenizer

MAGIC = 0xA9
"""Begins texts whose lines are coded each from the model's start, as version 1 coded all."""
MAGIC_STREAM = 0xAA
"""Begins texts that are coded as streams."""
VERSION = "2"
HEAD = 4
BLOCK = 1 << 16
PART = 1 << 20  # bytes of a line that are looked at together
END, END_CUT, LINE = 0, 1, 2
_LINE_BEGIN = re.compile(rb"\n(?=[^ \t\r\n])")


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


def _as_it_is(tokenizer: Tokenizer, text: bytes) -> I32:
    """Ids of a part of a text whose line ends are text."""
    return np.concatenate([np.zeros(0, np.int32), *tokenizer.encode_stream([text])])


class _Shared:
    """What a text's encoder and decoder do alike; a decoder ignores what it is given."""

    def __init__(self, model: LanguageModel, coder: Coder, sizes: Sizes, *, stream: bool) -> None:
        self.coder, self.sizes = coder, sizes
        self.distributions = Distributions(model)
        self.has_lines = not stream or model.form.newline_id is not None
        self.speller = ByteFallbackSegmenter(
            model.tokenizer, None if self.has_lines else partial(_as_it_is, model.tokenizer)
        )
        if self.has_lines:
            self.lines = LineContexts(coder, self.distributions, model.form if stream else None)
            newline_id = model.form.newline_id if stream else None
            self.newline_id = model.tokenizer.specials["eos"] if newline_id is None else newline_id
        self._named = AdaptiveBit(1, 4)  # 0: raw bytes, 1: the unknown token's own name
        self._returned = AdaptiveBit(4, 1)
        self._bytes = AdaptiveBytes()
        self._items = 0

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

    def goes_on(self, more: int) -> int:
        """Whether another token or escape follows in a text without lines."""
        whole = 1 << 30
        end = max(whole >> 20, whole // (self._items + 3) ** 2)
        self._items += 1
        return self.coder.choose((end, whole), more)

    def begin_item(self, more: int) -> int:
        """Whether a token or escape follows: always, within a line, whose end is a token too."""
        return 1 if self.has_lines else self.goes_on(more)

    def ended(self, returned: int) -> int:
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
    stream = reaches_over_lines(model.form)
    shared = _Shared(model, encoder, sizes, stream=stream)
    chunks = iter(chunks)
    first = next(chunks, b"")  # nothing is written where nothing can be read
    head = bytes([MAGIC_STREAM if stream else MAGIC]) + identity(model)
    sizes.compressed_bytes += len(head)
    yield head
    work = _encode_lines if shared.has_lines else _encode_text
    for _ in work(shared, chain([first], chunks)):
        if len(encoder) >= BLOCK:
            sizes.compressed_bytes += len(encoder)
            yield encoder.take()
    rest = encoder.finish()
    sizes.compressed_bytes += len(rest)
    yield rest


def _encode_lines(shared: _Shared, chunks: Iterable[bytes]) -> Iterator[None]:
    """Codes a text by lines, some of it at each step."""
    node: Node | None = None
    end = END
    for part, last, whole in _parts(chunks, shared.sizes):
        end = END if whole else END_CUT
        returned = last and part.endswith(b"\r")
        part = part[:-1] if returned else part
        blank = False
        if node is None:
            shared.boundary(LINE)
            node = shared.lines.begin()
            shared.speller.begin()
            blank = _encode_blank(shared, node, blank=last and not part)
        if not blank:
            node = _encode(shared, node, part)
        if last:
            if not blank:
                shared.token(node, shared.newline_id)
                shared.lines.end_line(node, shared.newline_id)
            shared.ended(int(returned))
            node = None
        yield
    shared.boundary(end)


def _encode_blank(shared: _Shared, node: Node, *, blank: bool) -> bool:
    """Codes a line that is blank to the model; gives whether it was."""
    document_end = shared.lines.document_end
    if document_end is None:
        return bool(shared.lines.skipped(int(blank)))
    if blank:
        shared.token(node, document_end)
        shared.lines.end_document()
    return blank


def _encode_text(shared: _Shared, chunks: Iterable[bytes]) -> Iterator[None]:
    """Codes a text whose line ends are text, some of it at each step."""
    node = shared.distributions.start()
    for part in _large_parts(chunks, shared.sizes):
        node = _encode(shared, node, part)
        yield
    shared.goes_on(0)


def _large_parts(chunks: Iterable[bytes], sizes: Sizes) -> Iterator[bytes]:
    """Parts of a text, cut where tokens begin if that can be had: behind a line end, or else before a space."""
    rest = bytearray()
    for chunk in chunks:
        sizes.text_bytes += len(chunk)
        rest += chunk
        while len(rest) > PART:
            ends = [match.end() for match in _LINE_BEGIN.finditer(rest, 0, PART)]
            if not ends:
                yield from (part for part, _, _ in _cut(rest))
                break
            yield bytes(rest[: ends[-1]])
            del rest[: ends[-1]]
    if rest:
        yield bytes(rest)


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
            shared.begin_item(1)
            shared.token(node, unk)
            shared.named(0)
            _, node = shared.raw(node, item)
            continue
        for token in item:
            shared.begin_item(1)
            shared.token(node, token)
            if token == unk:
                shared.named(1)
            node = shared.distributions.after(node, token)
        shared.sizes.tokens += len(item)
    return node


def decompress(model: LanguageModel, chunks: Iterable[bytes], sizes: Sizes | None = None) -> Iterator[bytes]:
    """The text in blocks. Raises OtherModelError or DamagedError."""
    sizes = sizes if sizes is not None else Sizes()
    chunks, stream = _behind_head(model, chunks, sizes)
    decoder = Decoder(chunks)
    shared = _Shared(model, decoder, sizes, stream=stream)
    out = bytearray()
    for piece in _decode_lines(shared) if shared.has_lines else _decode(shared, shared.distributions.start()):
        out += piece
        if len(out) >= BLOCK:
            sizes.text_bytes += len(out)
            yield bytes(out)
            out.clear()
    decoder.finish()
    sizes.text_bytes += len(out)
    yield bytes(out)


def _decode_lines(shared: _Shared) -> Iterator[bytes]:
    """The bytes of a text coded by lines."""
    feed = b""
    while (event := shared.boundary(LINE)) == LINE:
        yield feed
        if not shared.lines.skipped(0):
            yield from _decode(shared, shared.lines.begin())
        feed = b"\r\n" if shared.ended(0) else b"\n"
    yield feed if event == END else feed[:-1]


def _behind_head(model: LanguageModel, chunks: Iterable[bytes], sizes: Sizes) -> tuple[Iterator[bytes], bool]:
    """What follows the head, once it is found to be this model's, and whether it is coded as a stream."""
    chunks = iter(chunks)
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, None)) is not None:
        sizes.compressed_bytes += len(chunk)
        head += chunk
    if not head:
        raise DamagedError("empty, so not a compressed text")
    if head[0] not in (MAGIC, MAGIC_STREAM):
        raise DamagedError("not a text that lmkit compressed")
    if len(head) < HEAD:
        raise DamagedError("damaged or cut off")
    if head[1:HEAD] != identity(model):
        raise OtherModelError("compressed with another model")
    stream = head[0] == MAGIC_STREAM
    if stream and not reaches_over_lines(model.form):
        raise DamagedError("damaged: a stream, and the model reads lines")
    return _counted(chain([head[HEAD:]], chunks), len(head) - HEAD, sizes), stream


def _counted(chunks: Iterable[bytes], before: int, sizes: Sizes) -> Iterator[bytes]:
    """The same chunks; their bytes, but for those counted before, are added to the sizes on the way."""
    for chunk in chunks:
        sizes.compressed_bytes += len(chunk) - before
        before = 0
        yield chunk


def _decode(shared: _Shared, node: Node) -> Iterator[bytes]:
    """The bytes of a line without its end, or of a text without lines."""
    unk, decode = shared.speller.unk, shared.speller.decode
    document_end = shared.lines.document_end if shared.has_lines else None
    run: list[int] = []
    while shared.begin_item(1):
        token = shared.token(node, 0)
        if shared.has_lines and token == shared.newline_id:
            shared.lines.end_line(node, token)
            break
        if token == document_end:
            shared.lines.end_document()
            return
        document_end = None
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
