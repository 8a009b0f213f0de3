"""`lmkit bpe encode`: text to ids or pieces."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from lmkit.commands.bpe.pretoken_counting import PIECE, TokenizerOption, as_they_are
from lmkit.commands.bpe.vocabularies import allowed_pieces, read_vocabulary
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, ParseSpecial, Run, Seed, choice
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import UsageError
from lmkit.io import outputs, size_limits, streams
from lmkit.io.records import to_json
from lmkit.io.text_sources import TextSource
from lmkit.tokenization.bpe.scheme import MARKERS

FORMS = ("ids", "pieces", "text", "npy")
Marker = Annotated[
    str | None,
    typer.Option(
        "--marker", metavar="MARK", callback=choice(*MARKERS), show_default="Ġ; </w> for words of characters",
        help="Word-boundary marker of pieces: Ġ or ▁ before a word's first piece, # or ## before its others, @@ after "
        "all but its last, </w> after its last.",
    ),
]  # fmt: skip


@with_groups()
def encode(
    run: Run,
    files: TextFiles = None,
    model: TokenizerOption = None,
    *,
    text_input: TextInput,
    form: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FORM",
            callback=choice(*FORMS),
            help="Output form: `ids`, `pieces` (as the vocabulary spells them) or `text` (readable pieces, with ▁ for "
            "a space and <0xNN> for a byte of an incomplete character), a line per line; `npy`, one array of all ids.",
        ),
    ] = "ids",
    marker: Marker = None,
    parse_special: ParseSpecial = False,
    dropout: Annotated[
        float,
        typer.Option(
            "--dropout", metavar="P", min=0.0, max=1.0, help="BPE-dropout: skip each merge with probability P."
        ),
    ] = 0.0,
    seed: Seed = 0,
    vocab: Annotated[
        str | None,
        typer.Option(
            "--vocab",
            metavar="FILE",
            show_default=False,
            help="Vocabulary file. Without a model: pieces and ids for longest-match encoding. With a model: the "
            "pieces that may appear, and their counts.",
        ),
    ] = None,
    vocab_threshold: Annotated[
        int | None,
        typer.Option(
            "--vocab-threshold",
            metavar="N",
            min=1,
            show_default="1",
            help="Minimum count of pieces of --vocab; rarer ones may not appear.",
        ),
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option(
            "--unknown",
            metavar="NAME",
            show_default="the first listed of <unk>, [UNK], <UNK>",
            help="Unknown token: the entry of --vocab for words that it cannot spell.",
        ),
    ] = None,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:
    """Encode text as ids or pieces.

    The tokenizer may be that of any checkpoint. Byte-level BPE accepts any bytes, and `lmkit bpe decode` restores
    them exactly, line ends included. Special tokens are parsed only with --parse-special. With --vocab and no
    model, words are encoded greedily by the longest matching pieces of a list.

    Examples:
      lmkit bpe encode -m bpe.lm < text.txt > ids.txt
      lmkit bpe encode -m bpe.lm --as pieces --marker @@ text.txt
      lmkit bpe encode -m bpe.lm --as text text.txt
      lmkit bpe encode -m bpe.lm --as npy train.txt -o train.npy
      lmkit bpe encode --vocab pieces.tsv --marker '##' text.txt
    """
    if model is None and vocab is None and not files:
        raise UsageError("no tokenizer", hint="name one with -m MODEL, or a list of pieces with --vocab FILE")
    if model is None and vocab is None:
        model = streams.STDIN
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(model, vocab, *inputs)
    _check(model, vocab, vocab_threshold, unknown, form, marker, json)
    with outputs.open_output(output, binary=form == "npy") as out:
        tokenizer = read_vocabulary(str(vocab), marker, unknown) if model is None else opening.open_tokenizer(model)
        allowed = None
        if model is not None and vocab is not None:
            if not tokenizer.has_merges:
                raise UsageError(f"--vocab with a model is for merges, not for a {tokenizer.kind} tokenizer")
            allowed = allowed_pieces(vocab, vocab_threshold or 1, tokenizer, _marker(tokenizer, marker))
        text = _Text(
            run, tokenizer, inputs, lines=form != "npy", parse=parse_special, dropout=dropout, seed=seed,
            allowed=allowed, errors=encoding_errors, source=text_input.source,
            whole_lines=json or form in ("pieces", "text"),
        )  # fmt: skip
        if form == "npy":
            _write_array(out, tokenizer, text)
        elif json:
            _write_records(out, tokenizer, text)
        else:
            write = _renderer(tokenizer, form, marker)
            for ids, line_ends in text:
                out.answer(write(ids, line_ends))
        text.tell_unknown()


def _check(
    model: str | None, vocab: str | None, threshold: int | None, unknown: str | None, form: str, marker: str | None,
    json: bool,
) -> None:  # fmt: skip
    """Raises UsageError for options that cannot be combined."""
    if threshold is not None and (model is None or vocab is None):
        raise UsageError("--vocab-threshold needs --model and --vocab")
    if unknown is not None and (model is not None or vocab is None):
        raise UsageError("--unknown needs --vocab, and no --model")
    if form == "text" and marker is not None and model is not None:
        raise UsageError("--marker cannot be combined with --as text", hint="--as pieces shows pieces with a marker")
    if json and form == "npy":
        raise UsageError("--json cannot be combined with --as npy")


class _Text:
    """The ids of a text, block by block, and where lines end in them.

    A block need not end with a line; with `whole_lines` all but the last one do.
    """

    def __init__(
        self, run: Run, tokenizer: Any, files: list[str], *, lines: bool, parse: bool, dropout: float, seed: int,
        allowed: Any, errors: str, source: TextSource, whole_lines: bool,
    ) -> None:  # fmt: skip
        self._run, self._tokenizer, self._files, self._lines = run, tokenizer, files, lines
        self._errors, self._source, self._whole_lines = errors, source, whole_lines
        self._unknown = 0
        self._encoder: Any = None
        self._names: dict[bytes, int] = {}
        if tokenizer.is_subword:
            from lmkit.tokenization.bpe.encoding import Options

            self._names = tokenizer.names if parse else {}
            self._encoder = tokenizer.encoder(Options(lines, self._names, dropout, seed, allowed))
        elif parse or dropout or allowed is not None:
            raise UsageError(
                f"--parse-special, --dropout and --vocab are for merges, not for a {tokenizer.kind} tokenizer"
            )

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        import numpy as np

        unknown = self._tokenizer.specials.get("unk")
        rest: list[Any] = []
        for ids, line_ends in self._parts():
            if unknown is not None:
                self._unknown += int(np.count_nonzero(ids == unknown))
            if not self._whole_lines:
                yield ids, line_ends
                continue
            cut = int(line_ends[-1]) if len(line_ends) else 0
            if len(line_ends):
                before = sum(map(len, rest))
                yield np.concatenate([*rest, ids[:cut]]), line_ends + before
                rest = []
            rest.append(ids[cut:])
        if sum(map(len, rest)):
            yield np.concatenate(rest), np.zeros(0, dtype=np.int64)

    def _parts(self) -> Iterator[tuple[Any, Any]]:
        if not self._tokenizer.spells_whitespace:
            reader = running_text.text_reader(
                self._errors, self._source, raw=self._tokenizer.accepts_any_bytes, eager=True
            )
            reader.longest = size_limits.LINE
            encode = self._tokenizer.encode_block
            if self._encoder is not None:
                encode = lambda block: self._encoder.encode(self._encoder.scan(block))  # noqa: E731
            for block in running_text.read_blocks(self._run, reader, self._files, "encoding"):
                yield encode(block)
            return
        from lmkit.tokenization.bpe.chunks import blocks

        margin = max(map(len, self._names), default=0)
        reader = running_text.text_reader(self._errors, self._source, raw=True, eager=True, block=PIECE)
        pieces = as_they_are(self._run, reader, self._files, "encoding")
        parts = blocks(pieces, self._tokenizer.scheme, lines=self._lines, margin=margin)
        for part in parts:
            yield self._encoder.encode(self._encoder.scan(part))

    def tell_unknown(self) -> None:
        """Says how many tokens were unknown, if any."""
        if self._unknown:
            self._run.terminal.notice(f"{self._unknown} unknown token{'s' if self._unknown > 1 else ''}")


def _marker(tokenizer: Any, marker: str | None) -> str:
    return marker or ("</w>" if tokenizer.ends_words else "Ġ")


def _renderer(tokenizer: Any, form: str, marker: str | None) -> Callable[[Any, Any], bytes]:
    """A function from the ids of a block, and the ends of lines in them, to what is printed."""
    from lmkit.tokenization.id_rendering import LineRenderer

    if form == "ids":
        return LineRenderer([b"%d" % token for token in range(tokenizer.size)]).render
    if form == "text":
        marker = "▁"
    if not tokenizer.has_merges and form == "text":
        from lmkit.tokenization.bpe.piece_markers import readable

        specials = {*tokenizer.specials.values(), *tokenizer.names.values()}
        return LineRenderer(readable([tokenizer.piece(token) for token in range(tokenizer.size)], specials)).render
    if not tokenizer.has_merges:
        return LineRenderer([tokenizer.written(token) for token in range(tokenizer.size)]).render
    from lmkit.tokenization.bpe.piece_markers import Display

    display = Display(
        tokenizer.vocabulary.pieces(), tokenizer.names.values(), _marker(tokenizer, marker),
        ends_words=tokenizer.ends_words,
    )  # fmt: skip
    render = LineRenderer(display.strings).render
    return lambda ids, line_ends: render(*display.ids(ids, line_ends))


def _write_records(out: outputs.Output, tokenizer: Any, text: _Text) -> None:
    """A JSON object for each line."""
    unknown = tokenizer.specials.get("unk")
    number = 0
    for ids, line_ends in text:
        ends = line_ends.tolist() or [len(ids)]
        begin = 0
        for end in ends:
            number += 1
            line = ids[begin:end].tolist()
            pieces = [tokenizer.piece(token).decode(errors="backslashreplace") for token in line]
            out.line(to_json({"line": number, "ids": line, "pieces": pieces, "unknown": line.count(unknown)}))
            begin = end


def _write_array(out: outputs.Output, tokenizer: Any, text: _Text) -> None:
    """The whole text as an array in numpy's file format, of the smallest unsigned type that holds the ids."""
    import io

    import numpy as np

    from lmkit.io.temp_storage import Disk
    from lmkit.tokenization.line_ends import with_line_ends

    dtype = np.dtype("<u2" if tokenizer.size <= 1 << 16 else "<u4")
    eos = tokenizer.specials.get("eos")
    writer = Disk(None).writer(dtype)
    for ids, line_ends in text:
        if len(line_ends):
            if eos is None:
                raise UsageError("this tokenizer has no end-of-sentence token to mark lines in an array")
            ids, _ = with_line_ends(ids, line_ends, eos)
        writer.append(ids.astype(dtype))
    array = writer.finish()
    header = {"descr": dtype.str, "fortran_order": False, "shape": array.shape}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, header)
    out.write(start.getvalue())
    out.write(array.data.cast("B") if len(array) else b"")
