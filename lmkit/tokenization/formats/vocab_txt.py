"""BERT's vocab.txt: a WordPiece vocabulary, one piece per line in the order of ids."""

from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer


def write(tokenizer: Tokenizer) -> bytes:
    """Return a vocab.txt. Raises CheckpointError for a tokenizer that is not WordPiece."""
    if tokenizer.describe().get("model") != "WordPiece":
        raise CheckpointError(
            f"a {tokenizer.kind} tokenizer is not WordPiece", hint="`lmkit bpe train --algorithm wordpiece` makes one"
        )
    pieces = [tokenizer.written(token) for token in range(tokenizer.size)]
    return b"".join(piece + b"\n" for piece in pieces)
