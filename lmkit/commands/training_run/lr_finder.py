"""`--print-schedule`, `--find-lr`, `--find-batch`: what is printed about a run instead of training."""

from typing import Any

from lmkit.commands.options.training import Training
from lmkit.commands.training_run.setup import Setup, schedule
from lmkit.io import outputs
from lmkit.io.records import Table

RATES = ("step", "lr", "matrix_lr", "nats", "smoothed")


def print_schedule(training: Training) -> None:
    """Every step's learning rate, without text, model or torch."""
    from lmkit.training.schedules import STEPS

    rates, total = schedule(training), training.steps or STEPS
    with outputs.open_output(training.output) as out:
        table = Table(out, ("step", "lr"), as_json=training.json)
        for step in range(1, total + 1):
            table.row({"step": step, "lr": training.lr * rates.factor(step, total)})


def find_lr(setup: Setup) -> None:
    """The curve of rising learning rates, and a last row with what to take."""
    from dataclasses import replace

    from lmkit.training import lr_finder

    training = setup.training
    steps = training.steps or lr_finder.RATE_STEPS
    plan = replace(
        setup.plan(1), steps=steps, schedule=lr_finder.Rising(), evaluate_every=0, patience=0, select_by=None
    )  # fmt: skip
    trainer = setup.trainer(setup.batches(), plan)
    curve: list[Any] = []

    def rates(factor: float) -> dict[str, float]:
        return {"lr": factor * training.lr, "matrix_lr": factor * training.matrix_lr}

    with (
        outputs.open_output(training.output) as out,
        setup.run.terminal.progress("trying rates", steps, "") as progress,
    ):
        table = Table(out, RATES, as_json=training.json)
        for tried in lr_finder.learning_rates(trainer):
            curve.append(tried)
            record = {"step": tried.step, **rates(tried.factor), "nats": tried.nats, "smoothed": tried.smoothed}
            table.row(record)
            progress.advance(1, f"{tried.nats:.3f} nats")
        best = rates(lr_finder.suggestion(curve))
        table.row({"step": "suggestion", **best})
    more = "" if len(curve) == steps else f"; the loss was lost at step {len(curve)}"
    if min(curve, key=lambda tried: tried.smoothed) is curve[-1]:
        more = "; the loss still fell at the highest rate: begin with higher ones to see more"
    setup.run.terminal.notice(f"try --lr {best['lr']:.2g} --matrix-lr {best['matrix_lr']:.2g}{more}")


def find_batch(setup: Setup) -> None:
    """The largest batch that fits, its bytes and the bytes there are."""
    from lmkit.nn.language_model import device_named
    from lmkit.training import lr_finder

    training = setup.training
    device = device_named(training.device)
    memory = _memory(training, device)
    time, most, name = setup.row_length, setup.most_rows, setup.batch_option
    plan = setup.plan(1)

    def measure(rows: int) -> int:
        return lr_finder.step_bytes(lambda full: setup.trainer(setup.full_batches(full), plan), rows, time)

    fit = None
    with outputs.open_output(training.output) as out:
        for fit in lr_finder.largest_batch(measure, memory, most):
            setup.run.terminal.detail(f"a batch of {fit.rows:,}: {fit.bytes:,} bytes")
        assert fit is not None
        size = fit.rows if name == "batch" else fit.rows * time
        table = Table(out, (name, "bytes", "memory"), as_json=training.json)
        table.row({name: size, "bytes": fit.bytes, "memory": memory})
    if fit.rows == most:
        setup.run.terminal.notice(f"a batch of {size:,} holds the whole text")


def _memory(training: Training, device: Any) -> int:
    """Bytes that training may take."""
    if training.mem_limit is not None or device.type != "cuda":
        from lmkit.io import temp_storage

        if training.mem_limit is not None:
            return temp_storage.memory_size(training.mem_limit, "--mem-limit")
        return temp_storage.free_memory()
    import torch

    return int(torch.cuda.mem_get_info(device)[0])
