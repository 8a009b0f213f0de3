"""`lmkit data`: texts to work with."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import TOKENS, EncodingErrors, Json, Output, Run, Tokens, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json


def text(
    run: Run,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            callback=choice("python-docs"),
            help="Name of the text: `python-docs`, Python's help topics.",
        ),
    ],
    output: Output = None,
) -> None:
    """Print a sample text that every Python installation contains.

    `python-docs` is the prose of Python's online help, a sentence per line: about 40,000 words of English for
    experiments, without a download. It differs slightly between versions of Python.

    Examples:
      lmkit data text python-docs -o docs.txt
      lmkit data text python-docs | lmkit ngram fit --order 3 | lmkit sample -n 3
    """
    from lmkit.data import builtin_text

    with outputs.open_output(output) as out:
        for sentence in builtin_text.sentences():
            out.write(sentence.encode() + b"\n")


@with_groups()
def next_(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    size: Annotated[int, typer.Option("--context", metavar="N", min=1, help="Context length, in tokens.")] = 3,
    tokens: Tokens = "word",
    by: Annotated[
        str,
        typer.Option(
            "--by", metavar="UNIT", callback=choice("line", "stream"),
            help="Sequence unit: contexts stay inside a `line`, or the text is one `stream` whose line ends are "
            "tokens.",
        ),
    ] = "line",
    form: Annotated[
        str,
        typer.Option("--as", metavar="FORM", callback=choice("text", "ids"), help="Output form: `text` or `ids`."),
    ] = "text",
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """List the next-token training examples of a text.

    Each example is a JSON object: `x`, the context of N tokens, and `y`, the next token. Each token with N tokens
    before it in its line is a `y` once; shorter lines yield no example. Words, characters and bytes need no
    vocabulary; a byte that is not a character is shown as U+FFFD. --as ids needs a tokenizer (--tokens FILE).

    Examples:
      echo 'a b c' | lmkit data next --context 2
      lmkit data next --tokens char --context 8 --by stream train.txt
      lmkit data next --tokens bpe.lm --as ids train.txt
    """
    from lmkit.data import next_token

    names = list(files or [streams.STDIN])
    opening.check_single_stdin(tokens, *names)
    if tokens in TOKENS:
        tokenizer, spelling = None, next_token.SPELLINGS[tokens]
        if form == "ids":
            raise UsageError("--as ids needs a vocabulary", hint="--tokens FILE brings one")
    else:
        tokenizer = opening.named_tokenizer(tokens)
        if form == "ids" and by == "stream" and "eos" not in tokenizer.specials:
            raise CheckpointError(f"{streams.display(tokens)}: it has no end-of-line token")
        spelling = next_token.spelling_of(tokenizer)
    raw = tokens == "byte" or (tokenizer is not None and tokenizer.accepts_any_bytes)
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=raw, eager=True)
    shown = _ids(tokenizer) if form == "ids" else _texts(spelling)
    with outputs.open_output(output) as out:
        lines = (
            line
            for block in running_text.read_blocks(run, reader, names, "reading")
            for line in block[:-1].split(b"\n")
        )
        for x, y in next_token.next_tokens(lines, spelling.cut, size, across=by == "stream"):
            out.line(to_json(shown(x, y)))


def _texts(spelling: Any) -> Callable[[Sequence[Any], Any], dict[str, Any]]:
    from lmkit.data.next_token import text_of

    def text(tokens: Sequence[Any]) -> str:
        return text_of(tokens, spelling.join).decode(errors="replace")

    return lambda x, y: {"x": text(x), "y": text([y])}


def _ids(tokenizer: Any) -> Callable[[Sequence[Any], Any], dict[str, Any]]:
    """Ids as they are; line ends are `</s>`."""
    feed = tokenizer.specials.get("eos")
    return lambda x, y: {"x": [feed if token is None else token for token in x], "y": feed if y is None else y}
