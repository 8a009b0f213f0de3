"""`lmkit eval text`: diversity and repetition of texts."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import typer

from lmkit import __version__
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import TOKENS, EncodingErrors, Json, Output, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files
from lmkit.io.progress import Progress
from lmkit.io.records import Table
from lmkit.io.text_sources import SourceReader


@with_groups()
def text(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    tokens: Tokens = "word",
    order: Annotated[int, typer.Option("--order", metavar="N", min=1, max=20, help="Longest n-gram to measure.")] = 4,
    self_bleu_texts: Annotated[
        int | None,
        typer.Option(
            "--self-bleu-texts", metavar="N", min=2, show_default="all",
            help="Compute self-BLEU among at most N texts, drawn by --seed; it rises with the number of texts.",
        ),
    ] = None,
    seed: Seed = 0,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Measure the diversity of texts.

    A text is a line, or the --field of a record. One row per FILE, and a total if there are several.
    `distinct_n` is the share of distinct n-grams over all texts (Li et al. 2016); `type_token_ratio` is
    `distinct_1`. `rep_n` is the mean share of repeated n-grams within a text of n tokens or more (seq-rep-n,
    Welleck et al. 2020). `duplicates` is the share of texts that equal an earlier one.

    `self_bleu` (Zhu et al. 2018), from 0 to 1, is the mean BLEU of a text with all others as references, up to
    order N. Empty texts count as texts, but not for self-BLEU. Compare only sets of equal size and similar
    lengths. See lmkit-evaluation(7) for details.
    Line ends within a record's text are white space between words, and tokens otherwise.

    Memory: 4 bytes per token, and about 150 while the figures are computed.

    Examples:
      lmkit sample -m model.lm -n 100 | lmkit eval text
      lmkit sample -m model.lm -n 100 --json -o drawn.jsonl; lmkit eval text --field text drawn.jsonl
      lmkit eval text --tokens char --order 8 --json greedy.txt drawn.txt
    """
    from lmkit.metrics.diversity import Texts

    names = list(files or [streams.STDIN])
    opening.check_single_stdin(tokens, *names)
    learner = _learner(tokens)
    reader = running_text.text_reader(encoding_errors, text_input.source, raw=learner.accepts_any_bytes)
    measured = partial(_figures, order=order, most=self_bleu_texts, seed=seed)
    with outputs.open_output(output) as out:
        shown = _Shown(run, out, order, _signature(tokens, learner, order, self_bleu_texts, seed), as_json=json)
        total = Texts()
        with run.terminal.progress("reading", streams.size_of(names)) as progress:
            for name in names:
                texts = _encoded(_read(run, reader, name, progress), learner, words=_by_words(tokens, learner))
                total.join(texts)
                if len(names) > 1:
                    shown.add(streams.display(name), measured(texts))
        if not total.digests:
            raise DataError("no text to measure: the input is empty")
        _tell(run, reader, tokens, learner, total)
        shown.add("total" if len(names) > 1 else streams.display(names[0]), measured(total))


_COLUMNS = ("texts", "empty", "tokens", "mean_length", "vocabulary", "type_token_ratio", "duplicates")


def _learner(tokens: str) -> Any:
    from lmkit.tokenization import tokenizers

    if tokens in TOKENS:
        return tokenizers.learner(tokens)
    return tokenizers.Fixed(opening.named_tokenizer(tokens))


def _by_words(tokens: str, learner: Any) -> bool:
    return "word" in (tokens, None if tokens in TOKENS else learner.tokenizer().kind)


def _read(run: Run, reader: SourceReader, name: str, progress: Progress) -> Iterator[list[bytes]]:
    """The texts of one file, some at a time: its lines, or those of its records."""
    if reader.source.form_of(name) == "text":
        for block in progress.over(running_text.warn_if_no_text(run, name, reader.blocks(name), reader.source)):
            yield block[:-1].split(b"\n")
        return
    for found in reader.texts(name):
        progress.advance(sum(map(len, found)))
        yield found


def _encoded(groups: Iterator[list[bytes]], learner: Any, *, words: bool) -> Any:
    """The same as ids."""
    from lmkit.metrics.diversity import Texts, encode

    texts = Texts()
    for found in groups:
        if found:
            texts.add(found, *encode(learner, found, words=words))
    return texts


def _figures(texts: Any, *, order: int, most: int | None, seed: int) -> dict[str, Any]:
    from lmkit.metrics.diversity import measure

    found = measure(texts, order, most=most, seed=seed)
    figures = {column: getattr(found, column) for column in (*_COLUMNS, "self_bleu")}
    for key, values in {"distinct": found.distinct, "rep": found.repetition}.items():
        figures |= {f"{key}_{n}": value for n, value in enumerate(values, 1)}
    return figures


class _Shown:
    """Prints figures as they come."""

    def __init__(self, run: Run, out: outputs.Output, order: int, signature: str, *, as_json: bool) -> None:
        self._run, self._signature = run, signature
        listed = (f"{key}_{n}" for key in ("distinct", "rep") for n in range(1, order + 1))
        self._columns = ["file", *_COLUMNS, *listed, "self_bleu"]
        self._table = Table(out, [*self._columns, "signature"], as_json=as_json, behind=("signature",))

    def add(self, name: str, figures: dict[str, Any]) -> None:
        """Prints the figures of a file."""
        record = {"file": name, **figures}
        record = {column: record[column] for column in self._columns}
        self._table.row(self._run.signed({**record, "signature": self._signature}))


def _signature(tokens: str, learner: Any, order: int, most: int | None, seed: int) -> str:
    """How the numbers came about."""
    parts = {"tokens": tokens}
    if tokens not in TOKENS:
        tokenizer = learner.tokenizer()
        parts = {"tokens": tokenizer.kind, "vocabulary": f"{tokenizer.size}@{tokenizer.digest[:8]}"}
    parts |= {"order": str(order), "distinct": "n-grams", "rep": "mean", "bleu": "floor-0.1+effective+closest"}
    parts |= {"references": "all"} if most is None else {"references": str(most), "seed": str(seed)}
    return "|".join(f"{key}:{value}" for key, value in {**parts, "version": __version__}.items())


def _tell(run: Run, reader: text_files.TextReader, tokens: str, learner: Any, total: Any) -> None:
    """Reports replaced bytes, dropped words and unknown tokens."""
    running_text.warn_replaced_bytes(run, reader)
    if learner.dropped:
        run.terminal.notice(f"{learner.dropped} words spelled <s> or </s> were dropped")
    unknown = None if tokens in TOKENS else learner.tokenizer().specials.get("unk")
    if unknown is not None and (count := total.count(unknown)):
        run.terminal.notice(f"{count} tokens are unknown to {streams.display(tokens)} and count as the same")
