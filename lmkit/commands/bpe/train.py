"""`lmkit bpe train`: from texts or counts to a tokenizer."""

from abc import ABC, abstractmethod
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
        "--algorithm", metavar="NAME", callback=choice("bpe", "wordpiece", "unigram"),
        help="Algorithm: `bpe`; `wordpiece`, BERT's: `##` continues words, text is encoded by longest match; "
        "`unigram`, SentencePiece's: the most probable pieces.",
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
    """Train a tokenizer: byte-pair encoding (BPE), WordPiece or unigram.

    BPE repeatedly merges the most frequent pair of adjacent pieces into a new piece. Merges do not cross
    pre-tokens or lines; a line's end belongs to the line. Ties go to the lower ids, as in Hugging Face
    tokenizers, which learn the same merges. With --level char they go to the pair seen first, as in Sennrich
    et al. (2016). --algorithm wordpiece cuts words and punctuation as BERT does, merges by frequency as Hugging
    Face's trainer does, and has [PAD], [UNK], [CLS], [SEP] and [MASK] as ids 0 to 4; --normalize then also takes
    strip-accents, and at most 1,000 characters are spelled. --algorithm unigram learns probabilities of pieces by
    expectation-maximisation and prunes them, as sentencepiece does (Kudo 2018); U+2581 begins words.

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
    if algorithm != "bpe":
        if from_counts or level != "byte" or pattern is not None:
            raise UsageError(f"--algorithm {algorithm} cannot be combined with --level, --pattern or --from-counts")
        kind = _WordPiece if algorithm == "wordpiece" else _Unigram
        asked = kind(vocab_size, normalize, min_frequency, special)
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


class _Words(ABC):
    """What is asked of a vocabulary that is learned from counts of words."""

    algorithm = ""
    stage = "merging"

    def __init__(self, size: int, special: list[str], **settings: Any) -> None:
        self._size, self._special, self._settings = size, special, settings

    @abstractmethod
    def counter(self) -> Any:
        """Return what counts the words of blocks."""

    @abstractmethod
    def fit(self, counts: Any, progress: Any) -> Any:
        """Return the tokenizer."""

    def train(self, run: Run, files: list[str], encoding_errors: str, source: TextSource) -> Any:
        """Return the checkpoint's bytes. Raises DataError for an empty text."""
        from lmkit.tokenization.tokenizer_file import TokenizerFile

        counter = self.counter()
        reader = running_text.text_reader(encoding_errors, source)
        hashed = Hashed(running_text.read_blocks(run, reader, files, "counting"))
        for block in hashed:
            counter.add(block)
        counts = counter.total()
        if not len(counts):
            raise DataError("no text to learn from: the input has no words")
        tokenizer = self.fit(counts, run.terminal.stage(self.stage, self._size))
        settings = {
            "algorithm": self.algorithm, "special": self._special, "vocab_size": self._size, **self._settings,
        }  # fmt: skip
        record = hashed.record()
        record |= stored(reader, files, record)
        model: Any = TokenizerFile(tokenizer, {"words": int(counts.counts.sum())})
        return checkpoint_bytes(model, origin("bpe train", settings, [record]))


class _WordPiece(_Words):
    """What is asked of a WordPiece vocabulary. Raises UsageError."""

    algorithm = "wordpiece"

    def __init__(self, size: int, normalize: str, minimum: int, special: list[str]) -> None:
        from lmkit.tokenization.wordpiece_trainer import NAMES, WORDPIECE_FORMS

        self._forms, self._minimum = normal_forms(normalize, WORDPIECE_FORMS), minimum
        super().__init__(size, special, min_frequency=minimum, normalize=list(self._forms))
        _names(special, [name.encode() for name in NAMES])

    def counter(self) -> Any:
        """See `_Words.counter`."""
        from lmkit.tokenization.wordpiece_trainer import WordCounter

        return WordCounter(self._forms)

    def fit(self, counts: Any, progress: Any) -> Any:
        """See `_Words.fit`."""
        from lmkit.tokenization.wordpiece_trainer import fit

        return fit(
            counts, self._size, self._forms, minimum=self._minimum, special=self._special, progress=progress
        )  # fmt: skip


class _Unigram(_Words):
    """What is asked of a unigram vocabulary. Raises UsageError."""

    algorithm, stage = "unigram", "pruning"

    def __init__(self, size: int, normalize: str, minimum: int, special: list[str]) -> None:
        if normalize != "none" or minimum != 1:
            raise UsageError("--algorithm unigram cannot be combined with --normalize or --min-frequency")
        super().__init__(size, special)
        _names(special)

    def counter(self) -> Any:
        """See `_Words.counter`."""
        from lmkit.tokenization.unigram_trainer import WordCounter

        return WordCounter()

    def fit(self, counts: Any, progress: Any) -> Any:
        """See `_Words.fit`."""
        from lmkit.tokenization.unigram_trainer import fit

        return fit(counts, self._size, special=self._special, progress=progress)


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
