"""How many tokens a text is. Knows no files."""

from collections.abc import Callable

from lmkit.data.sequences import encode_prompt
from lmkit.protocols import SequenceFormat, Tokenizer


def size_in(tokenizer: Tokenizer, form: SequenceFormat | None) -> Callable[[str], int]:
    """Tokens of a text as a model of this form reads it, the one that begins every text not counted.

    A line end is a token where single lines are read, and to words, characters and bytes without a model; to
    other tokenizers without a model it is text.
    """
    if form is not None and (form.multiline or form.newline_id is None):
        return lambda text: len(encode_prompt(tokenizer, form, text.encode()))
    if form is None and tokenizer.is_subword:
        return lambda text: sum(map(len, tokenizer.encode_stream([text.encode()])))

    def by_line(text: str) -> int:
        lines = text.encode().split(b"\n")
        return sum(len(tokenizer.encode(line)) for line in lines) + len(lines) - 1

    return by_line
