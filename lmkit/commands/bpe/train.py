"""`lmkit bpe train`: from texts or counts to a tokenizer."""

from typing import Annotated, Any

import typer

from lmkit.commands.bpe.pretoken_counting import Level, Pattern, count_pretokens, make_scheme, read_counts
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.normalization import Normalize
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Output, Run
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import UsageError
from lmkit.io import outputs, streams

Special = Annotated[
    list[str] | None,
    typer.Option(
        "--special", metavar="NAME", show_default=False,
        help="Special token besides `<unk>`, `<s>` and `</s>`. Text that spells it is not parsed as one. Repeatable.",
    ),
]  # fmt: skip


@with_groups()
def train(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    vocab_size: Annotated[
        int,
        typer.Option(
            "--vocab-size",
            metavar="N",
            min=1,
            max=1 << 24,
            help="Vocabulary size: exact number of pieces (special tokens, bytes or characters, merges). An error if "
            "the text is too small.",
        ),
    ] = 8000,
    level: Level = "byte",
    pattern: Pattern = None,
    normalize: Normalize = "none",
    special: Special = None,
    min_frequency: Annotated[
        int, typer.Option("--min-frequency", metavar="N", min=1, help="Minimum frequency of a pair to be merged.")
    ] = 1,
    from_counts: Annotated[
        bool,
        typer.Option(
            "--from-counts", help="Read counts of `bpe count`, or lines of a word and its count, instead of text."
        ),
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    output: Output = None,
) -> None:
    """Train a tokenizer: learn byte-pair encoding (BPE) merges.

    BPE repeatedly merges the most frequent pair of adjacent pieces into a new piece. Merges do not cross
    pre-tokens or lines; a line's end belongs to the line. Ties go to the lower ids, as in Hugging Face
    tokenizers, which learn the same merges. With --level char they go to the pair seen first, as in Sennrich
    et al. (2016).

    Examples:
      lmkit bpe train --vocab-size 8000 train.txt -o bpe.lm
      lmkit bpe train --field body articles.jsonl.zst -o bpe.lm
      lmkit bpe train --pattern gpt4 --special '[MASK]' < train.txt > bpe.lm
      lmkit bpe count train.txt | lmkit bpe train --from-counts -o bpe.lm
      lmkit bpe train --level char --vocab-size 500 train.txt -o words.lm
    """
    from lmkit.tokenization.bpe.trainer import fit

    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs)
    scheme = make_scheme(level, pattern, normalize)
    names = _names(special or [])
    with outputs.open_output(output, binary=True) as out:
        if from_counts:
            text_input.refuse_beside("--from-counts")
            given = level != "byte" or pattern is not None or normalize != "none"
            counts, records = read_counts(inputs, scheme, given=given)
        else:
            counts, record = count_pretokens(run, inputs, scheme, encoding_errors, text_input.source)
            records = [record]
        told = run.terminal.stage("merging", vocab_size)
        tokenizer = fit(counts, vocab_size, minimum=min_frequency, special=names, told=told)
        settings = {"min_frequency": min_frequency, "scheme": counts.scheme.describe(), "vocab_size": vocab_size}
        settings["special"] = special or []
        for piece in checkpoint_bytes(_file(tokenizer, counts), origin("bpe train", settings, records)):
            out.write(piece)


def _file(tokenizer: Any, counts: Any) -> Any:
    from lmkit.tokenization.tokenizer_file import TokenizerFile

    return TokenizerFile(tokenizer, {"merges": len(tokenizer.merges), "pretokens": int(counts.counts.sum())})


def _names(special: list[str]) -> list[bytes]:
    """Names of special tokens as bytes. Raises UsageError for one with white space in it, and for one named twice."""
    from lmkit.tokenization.vocabulary import NAMES

    for name in special:
        if name.split() != [name]:
            raise UsageError(f"--special {name!r}: a name must not be empty or contain white space")
    names = [streams.argument_bytes(name) for name in special]
    for index, spelled in enumerate(names):
        if spelled in NAMES or spelled in names[:index]:
            raise UsageError(f"--special {special[index]!r}: already defined")
    return names
