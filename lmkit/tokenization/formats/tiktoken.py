"""tiktoken's ranks: a line for each token, its bytes in base64 and its rank, which is its id.

tiktoken merges the neighbours whose bytes together are the token of lowest rank. No two pairs
ever make the same token so: what happens between the ends of a token-to-be does not depend on
what is around, so each token has one last merge, the one that its own bytes end in. These
pairs, in order of rank, are the merges.
"""

import base64
import binascii
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I32, Tokenizer
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats.vocab_and_merges import check_ids, check_pattern
from lmkit.tokenization.vocabulary import Vocabulary

WHAT = "tiktoken ranks"
LONGEST = 4096  # bytes of a token: finding its merge takes steps by the square of its length
_LARGE = 75_000  # tokens; GPT-2's vocabulary has 50,256, that of GPT-4 100,256


def read_ranks(data: bytes) -> dict[bytes, int]:
    """Rank of each token. Raises CheckpointError naming the line."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), 1):
        if not line:
            continue
        fields = line.split(b" ")
        try:
            token = base64.b64decode(fields[0], validate=True)
        except binascii.Error:
            token = b""
        if len(fields) != 2 or not token or not fields[1].isdigit() or len(fields[1]) > 9:
            raise CheckpointError(f"not {WHAT}: line {number} is not a token in base64 and a rank")
        if token in ranks:
            raise CheckpointError(f"line {number}: the token {token!r} occurs twice")
        if len(token) > LONGEST:
            raise CheckpointError(f"line {number}: a token of {len(token)} bytes; lmkit takes up to {LONGEST}")
        ranks[token] = int(fields[1])
    return ranks


def read(ranks: Mapping[bytes, int], pattern: str | None = None) -> BPETokenizer:
    """The tokenizer of the ranks; without a pattern that of GPT-2 or, for large vocabularies, GPT-4.

    Raises CheckpointError where a byte is missing or a rank is repeated.
    """
    size = check_ids({repr(token): rank for token, rank in ranks.items()})
    for byte in range(256):
        if bytes([byte]) not in ranks:
            raise CheckpointError(f"the ranks lack byte 0x{byte:02x}")
    scheme = Scheme(pattern=pattern or ("gpt4" if len(ranks) > _LARGE else "gpt2"), whole_first=True)
    check_pattern(scheme)
    pieces = [b""] * size
    for token, rank in ranks.items():
        pieces[rank] = token
    return BPETokenizer(Vocabulary.of(pieces), merges_of(ranks), scheme, {}, {})


def merges_of(ranks: Mapping[bytes, int]) -> I32:
    """Ids of left, right and merged token of each merge, (M, 3), by rank."""
    rows = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        parts = last_parts(token, ranks)
        if parts is not None:
            rows.append((ranks[parts[0]], ranks[parts[1]], rank))
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def last_parts(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two tokens that a token's own bytes come to before they are one; None where they never do."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(left + right) for left, right in pairwise(parts)]
        found = [rank for rank in pairs if rank is not None]
        if not found:
            return None
        place = pairs.index(min(found))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def write(tokenizer: Tokenizer) -> bytes:
    """The ranks of a tokenizer's tokens but the special ones, which tiktoken takes separately.

    Raises CheckpointError where tiktoken would make other ids of them.
    """
    if not isinstance(tokenizer, BPETokenizer) or tokenizer.scheme.level != "byte":
        raise CheckpointError(f"{WHAT} hold byte-level BPE only")
    if tokenizer.scheme.normalize:
        raise CheckpointError(f"{WHAT} can't say normalisation")
    special = set(tokenizer.names.values())
    ranks: dict[bytes, int] = {}
    for number, piece in enumerate(tokenizer.vocabulary.pieces()):
        if not piece or number in special:
            continue
        if piece in ranks:
            raise CheckpointError(f"tokens {ranks[piece]} and {number} spell the same bytes, tiktoken knows no such")
        if len(piece) > LONGEST:
            raise CheckpointError(f"token {number} has {len(piece)} bytes; lmkit writes up to {LONGEST}")
        ranks[piece] = number
    _check_same(tokenizer, ranks)
    return b"".join(b"%s %d\n" % (base64.b64encode(piece), rank) for piece, rank in ranks.items())


def _check_same(tokenizer: BPETokenizer, ranks: Mapping[bytes, int]) -> None:
    """Raises CheckpointError where the ranks alone would not give the tokenizer's merges."""
    if any(bytes([byte]) not in ranks for byte in range(256)):
        raise CheckpointError("tiktoken needs a token for each of the 256 bytes")
    merges = merges_of(ranks)
    if not np.array_equal(merges, tokenizer.merges.pairs):
        raise CheckpointError("tiktoken merges in the order of ids, and this tokenizer's merges have another order")
    if not tokenizer.scheme.whole_first and len(merges) + 256 != len(ranks):
        raise CheckpointError("it has tokens that no merge makes, and tiktoken would use them for whole pre-tokens")
