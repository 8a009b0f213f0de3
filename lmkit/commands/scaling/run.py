"""`lmkit scaling run`: a sweep of budgets and sizes, trained."""

import json as json_format
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import Hashed
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.quantities import quantities
from lmkit.commands.options.standard import UNRECORDED, Resume, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.scaling.figures import draw_sweep
from lmkit.commands.training_run.state_file import StateFile
from lmkit.errors import DataError, Diverged, LmkitError, MissingError, OutputError, ProcessError, Status, UsageError
from lmkit.io import child_commands, outputs, streams
from lmkit.io.figures import files as figures
from lmkit.io.journal import open_journal

COLUMNS = ("flops", "parameters", "tokens", "loss", "budget", "width", "layers")
FEW = 10
"""Training steps below which a run says little about its size."""
HEAD = 16
"""Width of a head; widths are multiples of 8."""


def run_(
    run: Run,
    files: TextFiles = None,
    budgets: Annotated[
        str,
        typer.Option(
            "--budgets", metavar="LIST",
            help="Compute budgets: FLOPs of training, separated by commas.",
        ),
    ] = "2e9,4e9,1e10",
    widths: Annotated[
        str,
        typer.Option(
            "--widths", metavar="LIST", help="Hidden sizes, separated by commas: multiples of 8, three or more."
        ),
    ] = "8,16,24,32,48",
    lrs: Annotated[
        str | None,
        typer.Option(
            "--lrs", metavar="LIST", show_default="that of `lmkit train`",
            help="Peak learning rates of AdamW: one, or one for each of --widths, separated by commas.",
        ),
    ] = None,
    matrix_lrs: Annotated[
        str | None,
        typer.Option(
            "--matrix-lrs", metavar="LIST", show_default="that of `lmkit train`",
            help="Peak learning rates of Muon, in the same way.",
        ),
    ] = None,
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Number of layers.")] = 2,
    context: Annotated[int, typer.Option("--context", metavar="N", min=1, help="Context length, in tokens.")] = 32,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Batch size, in rows.")] = 8,
    tokens: Tokens = "char",
    valid: Annotated[
        str | None,
        typer.Option("--valid", metavar="FILE", show_default=False, help="Validation text, scored completely."),
    ] = None,
    valid_fraction: Annotated[
        float,
        typer.Option(
            "--valid-fraction", metavar="F", min=0.0, max=0.9,
            help="Validation share: hold out this fraction at the end of the text, if there is no --valid.",
        ),
    ] = 0.1,
    seed: Seed = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", metavar="N", min=1, show_default="all cores",
            help="Runs at a time, each a process with one thread. The result does not depend on it.",
        ),
        UNRECORDED,
    ] = None,
    resume: Resume = False,
    plot: Plot = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False, help="Write the runs to FILE, as CSV (atomically)."
        ),
        UNRECORDED,
    ] = None,
) -> None:  # fmt: skip
    """Train a sweep of model sizes and compute budgets.

    Trains a transformer of each width for each budget, by `lmkit train transformer --budget`, and writes a line per
    run: exact FLOPs, parameters, tokens and the validation loss in nats per token, as `lmkit scaling isoflop` and
    `fit` read them. The default sweep has 15 runs and takes a minute or two.

    Every finished run is kept in OUTPUT.state, from which --resume continues. A run that diverged has the loss nan.
    --lrs and --matrix-lrs give sizes their own learning rates. Give a text much longer than the tokens of the smallest
    model: repeated data count as new.

    Examples:
      lmkit scaling run text.txt -o runs.csv
      lmkit scaling run --budgets 1e12,3e12,1e13 --widths 32,64,96,128 --valid valid.txt train.txt -o runs.csv
      lmkit scaling run --widths 16,32,64 --lrs .04,.03,.02 text.txt -o runs.csv --plot runs.html
      lmkit scaling run --resume text.txt -o runs.csv
    """
    if not files or streams.STDIN in files or streams.STDIN in (valid, tokens):
        raise UsageError("a sweep reads its texts for every run: name files, not stdin")
    if valid is not None:
        valid_fraction = 0.0
    elif not valid_fraction:
        raise UsageError("no validation text: expected --valid FILE, or --valid-fraction above 0")
    chosen = _widths(widths)
    rates = [_rates("--lrs", "--lr", lrs, widths), _rates("--matrix-lrs", "--matrix-lr", matrix_lrs, widths)]
    figures.check(plot)
    outputs.expect_apart(output, plot)
    state = StateFile(output)
    if state.name is None:
        raise UsageError("a sweep needs -o FILE, beside which finished runs are kept")
    if resume:
        state.check_not_finished("without --resume the sweep begins anew and replaces it")
    else:
        state.check_no_state("--resume continues it; remove it to start over")
    cells = [Cell(budget, width) for budget in sorted(set(quantities(budgets))) for width in chosen]
    sweep = Sweep(files, layers, context, batch, tokens, valid, valid_fraction, seed, rates)
    fingerprint = {
        "lmkit": "sweep", "layers": layers, "context": context, "batch": batch, "seed": seed,
        "tokens": _digests([tokens])[0] if Path(tokens).is_file() else tokens, "valid_fraction": valid_fraction,
        "files": _digests(files), "valid": _digests([valid] if valid else []),
        **({"rates": rates} if any(rates) else {}),
    }  # fmt: skip
    try:
        with open_journal(state.name, json_format.dumps(fingerprint).encode() + b"\n") as journal:
            done = {Cell(*cell): row for cell, row in journal.lines}
            if done:
                run.terminal.notice(f"{len(done)} runs are finished, {len(set(cells) - set(done))} are left")
            for cell, row in _trained(run, sweep, [cell for cell in cells if cell not in done], processes):
                journal.add([cell, row])
                done[cell] = row
    except DataError as error:
        if not str(error).startswith(f"{state.name}: no cache"):
            raise
        message = f"{state.name}: the state of another sweep, of other texts or options"
        raise UsageError(message, hint="remove it to start over") from None
    with outputs.open_output(output) as out:
        out.line(",".join(COLUMNS))
        for cell in cells:
            out.line(",".join("nan" if value is None else repr(value) for value in done[cell]))
    state.remove()
    draw_sweep(run, plot, output)


class Cell(NamedTuple):
    """One run of a sweep."""

    budget: float
    width: int


@dataclass(frozen=True)
class Sweep:
    """What all runs have in common."""

    files: Sequence[str]
    layers: int
    context: int
    batch: int
    tokens: str
    valid: str | None
    valid_fraction: float
    seed: int
    rates: Sequence[Mapping[str, list[str]]]
    """Options of learning rates, and their values, by width."""

    def command(self, cell: Cell, output: str) -> list[str]:
        """Return the arguments of the run's `lmkit`."""
        held = ["--valid", self.valid] if self.valid is not None else ["--valid-fraction", repr(self.valid_fraction)]
        return [
            "train", "transformer", "--quiet", "--threads", "1", "--width", str(cell.width),
            "--heads", str(max(1, cell.width // HEAD) if cell.width % HEAD == 0 else 1),
            "--layers", str(self.layers), "--context", str(self.context), "--batch", str(self.batch),
            "--tokens", self.tokens, *held, "--seed", str(self.seed), "--budget", f"{cell.budget!r}flops",
            *(part for rates in self.rates for part in rates.get(str(cell.width), ())),
            "--save-every", "1e9", "-o", output, "--", *self.files,
        ]  # fmt: skip

    def row(self, cell: Cell, output: str) -> list[Any]:
        """Return what the columns have of a run that is finished, from its checkpoint."""
        from lmkit import checkpoint
        from lmkit.architectures.transformer import TransformerConfig
        from lmkit.scaling import flops

        content = checkpoint.parse(opening.read_model(output))
        settings = TransformerConfig.from_json(content.config)
        trained = content.origin["trained"]
        each = flops.forward(settings).total + flops.backward(settings).total
        loss, count = float(trained["validation"]["nats"]), int(trained["tokens"])
        return [each * count, settings.parameters, count, loss, cell.budget, cell.width, self.layers]


def _trained(run: Run, sweep: Sweep, cells: Sequence[Cell], processes: int | None) -> Iterator[tuple[Cell, list[Any]]]:
    """Train some runs, and yield each as it ends, with what the columns have of it."""
    progress = run.terminal.progress("runs", len(cells), "")
    with tempfile.TemporaryDirectory(prefix="lmkit-sweep-") as folder:
        names = [str(Path(folder, f"{place}.lm")) for place in range(len(cells))]
        commands = [sweep.command(cell, name) for cell, name in zip(cells, names, strict=True)]
        for place, status, messages in child_commands.ended(commands, opening.core_count(processes)):
            cell = cells[place]
            shown = f"budget {cell.budget:.4g}, width {cell.width}"
            if status == Status.DONE:
                row = sweep.row(cell, names[place])
                steps = row[2] / (sweep.batch * sweep.context)
                if steps < FEW:
                    run.terminal.notice(f"{shown}: only {steps:.0f} training steps, its loss says little")
                run.terminal.detail(f"{shown}: {row[1]:,} parameters, {row[2]:,} tokens, loss {row[3]:.4f}")
                Path(names[place]).unlink()
            elif status == Status.NO and "diverged" in messages:
                run.terminal.notice(f"{shown}: training diverged, loss nan")
                row = [cell.budget, None, None, None, cell.budget, cell.width, sweep.layers]
            else:
                raise _error(status, shown, messages)
            yield cell, row
            progress.advance(1)


def _error(status: int, shown: str, messages: str) -> LmkitError:
    """Return the error of a run, as it said it."""
    kinds: dict[int, type[LmkitError]] = {
        Status.USAGE: UsageError, Status.DATA: DataError, Status.MISSING: MissingError, Status.UNWRITTEN: OutputError,
        Status.NO: Diverged,
    }  # fmt: skip
    line, _, hint = messages.strip().partition("\n")
    said = line.removeprefix("lmkit train transformer: ") or f"ended with status {status}"
    hint = hint.strip().removeprefix("hint: ").partition("\n")[0]
    return kinds.get(status, ProcessError)(f"{shown}: {said}", hint=hint or None)


def _widths(text: str) -> list[int]:
    found = set()
    for part in text.split(","):
        if not (part.strip().isdecimal() and 0 < int(part) < 1 << 20 and int(part) % 8 == 0):
            raise UsageError(f"--widths {text!r}: {part.strip()[:40]!r} is not a multiple of 8")
        found.add(int(part))
    return sorted(found)


def _rates(option: str, of_train: str, text: str | None, widths: str) -> dict[str, list[str]]:
    """Return the option of `lmkit train` for each width. Raises UsageError for more or fewer rates than widths."""
    if text is None:
        return {}
    found, names = quantities(text), [str(int(part)) for part in widths.split(",")]
    if len(found) not in (1, len(names)):
        raise UsageError(f"{option} {text!r}: {len(found)} rates for {len(names)} widths", hint="give one, or as many")
    return {name: [of_train, repr(rate)] for name, rate in zip(names, found * (len(names) // len(found)), strict=True)}


def _digests(names: Sequence[str]) -> list[str]:
    """Return the SHA-256 of files, as they are stored."""
    found = []
    for name in names:
        hashed = Hashed(streams.chunks(name, as_is=True))
        for _ in hashed:
            pass
        found.append(hashed.record()["sha256"])
    return found
