"""Entropies of texts: at several orders, beside compressors, against another text, in windows, under a model."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.entropy import entropy_figures
from lmkit.commands.entropy.request import EntropyRequest, correction, show, tell_infinite
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text, scoring_models
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Totals
    from lmkit.information.text_entropy import TextStatistics

PIECE = 1 << 20
"""Bytes of a text counted at a time: what numpy makes of it still fits the cache."""


class _Text:
    """A text on its way through a unit of symbols, measured as it passes."""

    def __init__(self, run: Run, asked: EntropyRequest, compressors: Sequence[str] = (), *, live: bool = False) -> None:
        from lmkit.information.symbols import unit_of
        from lmkit.io.compressors import Sizes

        self._run, self._live = run, live
        self.unit = asked.unit_of or "byte"
        tokenizer = opening.open_tokenizer(str(asked.model)) if self.unit == "token" else None
        self.symbols_of = unit_of(self.unit, tokenizer)
        self.sizes = Sizes(compressors)
        raw = tokenizer.accepts_any_bytes if tokenizer is not None else self.unit == "byte"
        self._reader = running_text.text_reader(asked.encoding_errors, asked.source, raw=raw, eager=live, block=PIECE)
        self._reader.tap = self.sizes.add
        self._before = 0
        self.passed = 0

    def symbols(self, names: Sequence[str]) -> Iterator[Any]:
        """The symbols of some files, a piece at a time."""
        self._before = self.sizes.bytes
        make = self.symbols_of.passing if self._live else self.symbols_of.symbols
        with self._run.terminal.progress("counting", streams.size_of(names)) as progress:
            for name in names:
                for piece in progress.over(self._pieces(name)):
                    made = make(piece)
                    self.passed += len(made)
                    yield made
        running_text.warn_replaced_bytes(self._run, self._reader)

    def _pieces(self, name: str) -> Iterator[bytes]:
        if self.unit in ("line", "token"):
            return self._reader.blocks(name)
        return self._reader.pieces(name, separators=b" \t\r\n\0" if self.unit == "word" else b"")

    def too_short(self, names: Sequence[str], reason: str) -> DataError:
        """What is wrong with a text that has nothing to count."""
        what = "no text to measure: the input is empty" if self.sizes.bytes == self._before else reason
        return DataError(f"{', '.join(map(streams.display, names))}: {what}")


Named = tuple[str, "TextStatistics"]
"""A file, or all of them, and what was counted."""


def _counter(asked: EntropyRequest, text: _Text) -> Any:
    from lmkit.information.text_entropy import counter_of
    from lmkit.io.temp_storage import Disk, memory_size

    return counter_of(
        asked.order, memory=memory_size(asked.memory), spill=lambda: Disk(asked.temp_dir),
        alphabet=text.symbols_of.alphabet,
    )  # fmt: skip


def _parts(run: Run, asked: EntropyRequest, text: _Text) -> list[Named]:
    """Each file where there are several and no --compare, and last all of them as one text."""
    from lmkit.information.text_entropy import TextStatistics

    total, parts = _counter(asked, text), list[Named]()
    apart = len(asked.inputs) > 1 and asked.compare is None
    for names in [[name] for name in asked.inputs] if apart else [asked.inputs]:
        own = _counter(asked, text) if apart else None
        passed, size = text.passed, text.sizes.bytes
        for symbols in text.symbols(names):
            total.add(symbols)
            if own is not None:
                own.add(symbols)
        if own is None:
            continue
        name, orders = streams.display(names[0]), own.finish()
        if orders:
            parts.append((name, TextStatistics(orders, text.passed - passed, text.sizes.bytes - size)))
        else:
            run.terminal.notice(f"{name}: too short to measure, counted only in the total")
    orders = _finished(asked, text, asked.inputs, total)
    return [*parts, ("total", TextStatistics(orders, text.passed, text.sizes.bytes))]


def _finished(asked: EntropyRequest, text: _Text, names: Sequence[str], counter: Any) -> list[Any]:
    """The statistics that were counted. Raises DataError where there is nothing to count."""
    orders: list[Any] = counter.finish()
    if not orders:
        what = f"{asked.order} before it" if asked.order else "anything in it"
        raise text.too_short(names, f"no {text.unit} with {what}")
    return orders


def entropy_of_text(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """A text as it is, with `--compare` beside its sizes under compressors."""
    from lmkit.io import compressors

    text = _Text(run, asked, compressors.names(asked.compare) if asked.compare is not None else ())
    parts = _parts(run, asked, text)
    if asked.bare:
        parts = parts[-1:]
    if asked.plot is not None:
        entropy_figures.draw_orders(asked, text.unit, parts)
    table: Table | None = None
    for name, part in parts:
        named = {"file": name} if len(parts) > 1 else {}
        records = [{**named, **_of_order(asked, text, part, one)} for one in part.orders]
        warning = _warning(run, asked, part.orders[-1], text.unit) if part is parts[-1][1] else None
        if asked.compare is not None:
            _compared(run, asked, out, text, part, {**records[-1], "warning": warning})
        elif asked.json:
            more = {"orders": [_of_order(asked, text, part, one, brief=True) for one in part.orders]}
            show(run, asked, out, {**records[-1], "warning": warning, **(more if asked.order else {})})
        elif asked.bare:
            show(run, asked, out, records[-1])
        else:
            table = table or Table(out, list(records[-1]), as_json=False)
            for row in records:
                table.row(row)


def _of_order(
    asked: EntropyRequest, text: _Text, part: "TextStatistics", one: Any, *, brief: bool = False
) -> dict[str, Any]:
    """The numbers of one order."""
    bits = one.entropy(asked.correction)
    rest = {
        "bits_per_byte": part.bits_per_byte(bits),
        "block_entropy": asked.information(one.block_entropy(asked.correction)), "distinct": one.blocks.distinct,
    }  # fmt: skip
    record = asked.answer(bits)
    if brief:
        return {"order": one.order, "entropy": record["entropy"], "perplexity": record["perplexity"], **rest}
    record |= {"order": one.order, **rest, "symbols": one.positions, "unit_of": text.unit}
    return {**record, **correction(asked, one.entropy())}


def _warning(run: Run, asked: EntropyRequest, one: Any, unit: str) -> str | None:
    """Says that a sample is too small for its order, if it is."""
    if one.supported:
        return None
    blocks = f"blocks of {one.order + 1} {unit}s" if one.order else f"{unit}s"
    message = f"{one.blocks.distinct} distinct {blocks} at {one.positions} positions: too few for an entropy that"
    message += f" can be trusted at order {one.order}; it comes out too low"
    run.terminal.notice(message)
    return message


def _compared(
    run: Run, asked: EntropyRequest, out: outputs.Output, text: _Text, part: "TextStatistics", record: dict[str, Any]
) -> None:
    """The text's entropies and its sizes under compressors, in bits per byte and character."""
    from lmkit.information.measures import bits_per

    orders, sizes, compressed = part.orders, text.sizes, text.sizes.finish()
    if asked.bare:
        show(run, asked, out, record)
        return
    entropies = [(f"order {one.order} {text.unit}", one.entropy(asked.correction), text.passed, None) for one in orders]
    methods = [(name, 8.0, size, size) for name, size in compressed.items()]
    rows = [
        {
            "method": method, "bits_per_byte": bits_per(bits, number, sizes.bytes),
            "bits_per_character": bits_per(bits, number, sizes.characters), "bytes": size,
        }
        for method, bits, number, size in entropies + methods
    ]  # fmt: skip
    if asked.json:
        show(run, asked, out, {**record, "orders": rows[: len(orders)], "compressors": rows[len(orders) :]})
        return
    table = Table(out, list(rows[0]), as_json=False)
    for row in rows:
        table.row(row)


def against(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """A text and `--against`."""
    from lmkit.information.block_entropy import SymbolCounts
    from lmkit.information.measures import Pair

    text, counted = _Text(run, asked), []
    for names in asked.inputs, [str(asked.against)]:
        counter = SymbolCounts()
        for symbols in text.symbols(names):
            counter.add(symbols)
        if not counter.counts.any():
            raise text.too_short(names, f"no {text.unit} with anything in it")
        counted.append(counter.counts)
    pair = Pair.of_counts(*counted, add=asked.add)
    tell_infinite(run, asked, pair)
    sizes = {"symbols": int(counted[0].sum()), "symbols_against": int(counted[1].sum())}
    show(
        run, asked, out, {**asked.pair(pair), **sizes, "distinct": len(pair.p), "add": asked.add, "unit_of": text.unit}
    )


def windows(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """`--window`."""
    from lmkit.information.text_entropy import windowed

    text = _Text(run, asked, live=True)
    table: Table | None = None
    begins, found = list[int](), list[float]()
    size, step = int(asked.window or 0), int(asked.step or asked.window or 0)
    for begin, one in windowed(text.symbols(asked.inputs), size, step, asked.order):
        record = {**asked.answer(one.entropy(asked.correction)), "order": asked.order, "begin": begin}
        record |= {"symbols": size, "distinct": one.blocks.distinct, "unit_of": text.unit}
        begins.append(begin)
        found.append(record["entropy"])
        if asked.bare:
            out.line(repr(record["entropy"]))
            continue
        table = table or Table(out, list(record), as_json=asked.json)
        table.row(record)
    if not found:
        held = f"the text has {text.passed} {text.unit}{'' if text.passed == 1 else 's'}"
        raise text.too_short(asked.inputs, f"{held}, fewer than --window {size}")
    if asked.plot is not None:
        entropy_figures.draw_windows(asked, text.unit, begins, found)


def under_model(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """`-m` alone."""
    from lmkit.evaluation.perplexity import Totals, evaluate

    how = scoring_models.ScoringOptions()
    (model,) = scoring_models.open_scoring_models([str(asked.model)], how)
    reader = running_text.text_reader(
        asked.encoding_errors, asked.source, raw=model.tokenizer.accepts_any_bytes, block=PIECE
    )
    totals, records = Totals(), list[dict[str, Any]]()
    windows = scoring_models.ContextNotice(run, streams.display(str(asked.model)), model)
    with run.terminal.progress("scoring", streams.size_of(asked.inputs)) as progress:
        for text in asked.inputs:
            own = Totals()
            for blocks in running_text.documents_for(run, reader, text, [model]):
                before = own.tokens
                for part in evaluate(model, progress.over(blocks)):
                    own.add(part)
                    if model.form.by in ("stream", "file"):
                        windows.tell(own.tokens - before)
            totals.add(own)
            records.append({"file": streams.display(text), **_under(asked, model, how, own)})
    running_text.warn_replaced_bytes(run, reader)
    if not (totals.tokens and totals.bytes):
        raise DataError("no text to score: the input is empty")
    record = _under(asked, model, how, totals)
    if len(records) == 1 or asked.bare:
        show(run, asked, out, record)
        return
    table = Table(out, list(records[0]), as_json=asked.json)
    for row in (*records, {"file": "total", **record}):
        table.row(run.signed(row))


def _under(
    asked: EntropyRequest, model: LanguageModel, how: scoring_models.ScoringOptions, totals: "Totals"
) -> dict[str, Any]:
    """The cross-entropy of a text under a model, and its sizes."""
    return {
        "entropy": asked.information(totals.bits_per(totals.tokens)), "unit": asked.unit,
        "perplexity": totals.perplexity, "bits_per_byte": totals.bits_per(totals.bytes),
        "bits_per_character": totals.bits_per(totals.characters), "bits_per_word": totals.bits_per(totals.words),
        "symbols": totals.tokens, "unknown_tokens": totals.unknown_tokens,
        "signature": opening.signature(model, scoring_models.signature_parts(model, how, eos=True)),
    }  # fmt: skip
