"""`lmkit bpe train`: from texts or counts to a tokenizer."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.bpe.pretoken_counting import Level, Pattern, count_pretokens, make_scheme, read_counts
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import Hashed, checkpoint_bytes, origin, stored
from lmkit.commands.options.denoising import Sentinels
from lmkit.commands.options.normalization import Normalize, normal_forms
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Output, Run, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.text_sources import TextSource

Special = Annotated[
    list[str] | None,
    typer.Option(
        "--special", metavar="NAME", show_default=False,
        help="Special token besides `<unk>`, `<s>` and `</s>`, or WordPiece's five. Text that spells it is not "
        "parsed as one. Repeatable.",
    ),
]  # fmt: skip
Algorithm = Annotated[
    str,
    typer.Option(
        "--algorithm", metavar="NAME", callback=choice("bpe", "wordpiece"),
        help="Algorithm: `bpe`, or `wordpiece`, BERT's: `##` continues words, text is encoded by longest match.",
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
    algorithm: Algorithm = "bpe",
    level: Level = "byte",
    pattern: Pattern = None,
    normalize: Normalize = "none",
    special: Special = None,
    sentinels: Sentinels = 0,
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
    """Train a tokenizer: byte-pair encoding (BPE) or WordPiece.

    BPE repeatedly merges the most frequent pair of adjacent pieces into a new piece. Merges do not cross
    pre-tokens or lines; a line's end belongs to the line. Ties go to the lower ids, as in Hugging Face
    tokenizers, which learn the same merges. With --level char they go to the pair seen first, as in Sennrich
    et al. (2016). --algorithm wordpiece cuts words and punctuation as BERT does, merges by frequency as Hugging
    Face's trainer does, and has [PAD], [UNK], [CLS], [SEP] and [MASK] as ids 0 to 4; --normalize then also takes
    strip-accents, and at most 1,000 characters are spelled.

    Examples:
      lmkit bpe train --vocab-size 8000 train.txt -o bpe.lm
      lmkit bpe train --field body articles.jsonl.zst -o bpe.lm
      lmkit bpe train --pattern gpt4 --special '[MASK]' < train.txt > bpe.lm
      lmkit bpe count train.txt | lmkit bpe train --from-counts -o bpe.lm
      lmkit bpe train --level char --vocab-size 500 train.txt -o words.lm
      lmkit bpe train --algorithm wordpiece --normalize lowercase,strip-accents train.txt -o wp.lm
    """
    from lmkit.tokenization.bpe.trainer import fit

    special = [*(special or []), *(f"<extra_id_{number}>" for number in range(sentinels))]
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs)
    if algorithm == "wordpiece":
        if from_counts or level != "byte" or pattern is not None:
            raise UsageError("--algorithm wordpiece cannot be combined with --level, --pattern or --from-counts")
        asked = _WordPiece(vocab_size, normalize, min_frequency, special)
        with outputs.open_output(output, binary=True) as out:
            for piece in asked.train(run, inputs, encoding_errors, text_input.source):
                out.write(piece)
        return
    scheme = make_scheme(level, pattern, normalize)
    names = _names(special)
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
        settings["special"] = special
        for piece in checkpoint_bytes(_file(tokenizer, counts), origin("bpe train", settings, records)):
            out.write(piece)


class _WordPiece:
    """What is asked of a WordPiece vocabulary. Raises UsageError."""

    def __init__(self, size: int, normalize: str, minimum: int, special: list[str]) -> None:
        from lmkit.tokenization.wordpiece_trainer import NAMES, WORDPIECE_FORMS

        self._size, self._minimum, self._special = size, minimum, special
        self._forms = normal_forms(normalize, WORDPIECE_FORMS)
        _names(special, [name.encode() for name in NAMES])

    def train(self, run: Run, files: list[str], encoding_errors: str, source: TextSource) -> Any:
        """Return the checkpoint's bytes. Raises DataError for an empty text."""
        from lmkit.tokenization.tokenizer_file import TokenizerFile
        from lmkit.tokenization.wordpiece_trainer import WordCounter, fit

        counter = WordCounter(self._forms)
        reader = running_text.text_reader(encoding_errors, source)
        hashed = Hashed(running_text.read_blocks(run, reader, files, "counting"))
        for block in hashed:
            counter.add(block)
        counts = counter.total()
        if not len(counts):
            raise DataError("no text to learn from: the input has no words")
        progress = run.terminal.stage("merging", self._size)
        tokenizer = fit(
            counts, self._size, self._forms, minimum=self._minimum, special=self._special, progress=progress
        )
        settings = {
            "algorithm": "wordpiece", "min_frequency": self._minimum, "normalize": list(self._forms),
            "special": self._special, "vocab_size": self._size,
        }  # fmt: skip
        record = hashed.record()
        record |= stored(reader, files, record)
        model: Any = TokenizerFile(tokenizer, {"words": int(counts.counts.sum())})
        return checkpoint_bytes(model, origin("bpe train", settings, [record]))


def _file(tokenizer: Any, counts: Any) -> Any:
    from lmkit.tokenization.tokenizer_file import TokenizerFile

    return TokenizerFile(tokenizer, {"merges": len(tokenizer.merges), "pretokens": int(counts.counts.sum())})


def _names(special: list[str], own: Sequence[bytes] | None = None) -> list[bytes]:
    """Names of special tokens as bytes; `own` ones are always there, without it those of BPE.

    Raises UsageError for one with white space in it, and for one named twice.
    """
    from lmkit.tokenization.vocabulary import NAMES

    for name in special:
        if name.split() != [name]:
            raise UsageError(f"--special {name!r}: a name must not be empty or contain white space")
    names = [streams.argument_bytes(name) for name in special]
    for index, spelled in enumerate(names):
        if spelled in (NAMES if own is None else own) or spelled in names[:index]:
            raise UsageError(f"--special {special[index]!r}: already defined")
    return names
