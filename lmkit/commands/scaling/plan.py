"""`lmkit scaling plan`: sizes of models, and what they need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.quantities import TokenCount, quantity
from lmkit.commands.options.standard import Json, Output, Run, choice, suggested
from lmkit.commands.scaling import architectures
from lmkit.commands.scaling.architectures import Context, Presets
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import Table

if TYPE_CHECKING:
    from lmkit.architectures.encoder import EncoderConfig
    from lmkit.architectures.transformer import TransformerConfig

T5_VARIANTS = ("encoder-decoder", "shared", "six-layer", "lm", "prefix-lm")


def plan(
    run: Run,
    ngram: Annotated[bool, typer.Option("--ngram", help="Count full n-gram tables over --vocab words.")] = False,
    vocab: Annotated[
        int | None, typer.Option("--vocab", metavar="V", min=1, help="Vocabulary size.", show_default=False)
    ] = None,
    max_order: Annotated[
        int, typer.Option("--max-order", metavar="N", min=0, max=20, help="Longest n-gram order.")
    ] = 3,
    preset: Presets = None,
    t5_variant: Annotated[
        list[str] | None,
        typer.Option(
            "--t5-variant", metavar="NAME", callback=suggested(*T5_VARIANTS), show_default=False,
            help="Architecture of the T5 study at the size of T5-base: `encoder-decoder`, `shared`, `six-layer`, `lm`, "
            "`prefix-lm` or `all`. Repeat to compare.",
        ),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Add the memory of training and serving --preset, in bytes.")
    ] = False,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Batch size for --memory, in rows.")] = 1,
    context: Context = None,
    optimizer: Annotated[
        str,
        typer.Option("--optimizer", metavar="NAME", callback=choice("muon", "adamw"), help="Optimizer for --memory."),
    ] = "adamw",
    precision: Annotated[
        str,
        typer.Option(
            "--precision", metavar="NAME", callback=choice("fp32", "bf16"),
            help="Precision for --memory: of activations in training, of weights and cache in serving.",
        ),
    ] = "bf16",
    tokens: TokenCount = None,
    flops_per_second: Annotated[
        float | None,
        typer.Option(
            "--flops-per-second", metavar="R", parser=quantity, show_default=False,
            help="Add the time to train --preset on --tokens tokens at R FLOPs per second, such as `400T`.",
        ),
    ] = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Count the parameters of models exactly.

    --preset counts a published transformer without allocating it, by part. A head tied to the embeddings counts 0;
    an encoder's head is its pooler. `flops_per_token` is a forward pass per token, averaged over a full context: 2
    per weight of matrices and head, 4 per query component and visible position. --memory and --flops-per-second
    (what the hardware reaches, not its peak) estimate memory and time. --t5-variant counts the T5 study's
    architectures. A full n-gram table over V words has V^n probabilities, V^(n-1) (V-1) of them free.

    Presets: gpt1, gpt2, gpt2-medium, gpt2-large, gpt2-xl, bert-base, bert-large, roberta, electra-small,
    modernbert-base, llama-7b, llama-13b, llama-3-8b, smollm2-135m, smollm2-360m, smollm2-1.7b, qwen2.5-0.5b,
    qwen3-0.6b, qwen3-1.7b.

    Examples:
      lmkit scaling plan --preset gpt2 --preset bert-base
      lmkit scaling plan --preset llama-7b --memory --batch 8 --tokens 1T --flops-per-second 400T
      lmkit scaling plan --t5-variant all --json
      lmkit scaling plan --ngram --vocab 60000
    """
    if ngram + bool(preset) + bool(t5_variant) != 1 or (ngram and vocab is None):
        raise UsageError("nothing to count: expected --preset NAME, --t5-variant NAME, or --ngram --vocab V")
    if not ngram and vocab is not None:
        raise UsageError("--vocab needs --ngram; a preset has its own vocabulary")
    extra = Extra(memory, batch, context, optimizer, precision, tokens, flops_per_second)
    extra.check(run, bool(preset))
    with outputs.open_output(output) as out:
        if preset:
            _presets(run, out, preset, extra, as_json=json)
        elif t5_variant:
            _t5_variants(run, out, t5_variant, as_json=json)
        elif vocab is not None:
            _ngrams(run, out, vocab, max_order, as_json=json)


@dataclass(frozen=True)
class Extra:
    """What is estimated of a published model beside its parameters."""

    memory: bool
    batch: int
    context: int | None
    optimizer: str
    precision: str
    tokens: float | None
    flops_per_second: float | None

    def check(self, run: Run, presets: bool) -> None:
        """Raises UsageError for options that need others."""
        if (self.memory or self.flops_per_second is not None) and not presets:
            raise UsageError("--memory and --flops-per-second need --preset")
        if (self.tokens is None) != (self.flops_per_second is None):
            raise UsageError("--tokens and --flops-per-second need each other")
        options = ("batch", "optimizer", "precision")
        unused = [name for name in (*options, "context") if name in run.given and not self.memory]
        if unused and not (unused == ["context"] and self.tokens is not None):
            raise UsageError(f"--{unused[0]} needs --memory")

    def of(self, settings: "TransformerConfig | EncoderConfig") -> dict[str, float]:
        """Return the estimates of a model. Raises UsageError for a context that it does not have."""
        from lmkit.scaling import flops, memory

        found: dict[str, float] = {}
        context = flops.context_length(settings, self.context)
        if self.memory:
            found |= memory.needed(
                settings, batch=self.batch, context=context, optimizer=self.optimizer, precision=self.precision
            )._asdict()
        if self.tokens is not None and self.flops_per_second is not None:
            each = flops.forward(settings, context).total + flops.backward(settings, context).total
            found["seconds"] = each * self.tokens / self.flops_per_second
            found["days"] = found["seconds"] / 86400
        return found


def _presets(run: Run, out: outputs.Output, names: Sequence[str], extra: Extra, *, as_json: bool) -> None:
    from lmkit.scaling import model_sizes

    rows = []
    for name, settings in architectures.published(names):
        parts = {**model_sizes.parameters_by_part(settings), "parameters": settings.parameters}
        flops = model_sizes.forward_flops(settings)
        rows.append({"preset": name, **parts, "flops_per_token": flops, **extra.of(settings)})
    Table(out, tuple(rows[0]), as_json=as_json).rows(map(run.signed, rows))


def _t5_variants(run: Run, out: outputs.Output, names: Sequence[str], *, as_json: bool) -> None:
    rows = list(_rows_of_t5(names))
    Table(out, tuple(rows[0]), as_json=as_json).rows(map(run.signed, rows))


def _rows_of_t5(names: Sequence[str]) -> Iterator[dict[str, object]]:
    from lmkit.scaling.t5_variants import VARIANTS, sizes

    for name in (each for asked in names for each in (VARIANTS if asked == "all" else [asked])):
        if name not in VARIANTS:
            raise UsageError(f"no T5 variant {name!r}", hint=f"there are {', '.join(VARIANTS)}")
        variant = VARIANTS[name]
        yield {
            "variant": name, "encoder_layers": variant.encoder, "decoder_layers": variant.decoder,
            "mask": variant.mask, **sizes(variant)._asdict(),
        }  # fmt: skip


def _ngrams(run: Run, out: outputs.Output, vocabulary: int, max_order: int, *, as_json: bool) -> None:
    from lmkit.scaling import model_sizes

    table = Table(out, ("order", "parameters", "free_parameters"), as_json=as_json)
    for order in range(max_order + 1):
        free = model_sizes.ngram_free_parameters(vocabulary, order)
        parameters = model_sizes.ngram_parameters(vocabulary, order)
        table.row(run.signed({"order": order, "parameters": parameters, "free_parameters": free}))
