"""What a test set of word vectors has: questions or judged pairs, as its first lines tell. Knows no vectors."""

from collections.abc import Iterable
from itertools import islice

from lmkit.word_vectors.word_similarity import fields, number


def kind_of(lines: Iterable[bytes]) -> str | None:
    """`analogies` or `similarity`; None where neither is likely.

    Only questions have lines that begin with a colon. Else two lines decide, the first of which may be
    a header: a number behind two words means similarity, and four words without one a question.
    """
    contents = (line for line in lines if line.strip() and not line.startswith((b"#", b"//")))
    first = list(islice(contents, 2))
    if any(line.startswith(b":") for line in first):
        return "analogies"
    for line in first:
        if any(number(field) is not None for field in fields(line)[2:]):
            return "similarity"
    return "analogies" if first and all(len(line.split()) == 4 for line in first) else None
