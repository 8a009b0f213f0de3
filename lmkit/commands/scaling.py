"""`lmkit scaling`: sizes of models."""

from collections.abc import Sequence
from typing import Annotated

import typer

from lmkit.commands.options.standard import Json, Output, Run, suggested
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.io.records import Table

PRESETS = (
    "gpt1", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "bert-base", "bert-large", "llama-7b", "llama-13b",
    "llama-3-8b", "smollm2-135m", "smollm2-360m", "smollm2-1.7b", "qwen2.5-0.5b", "qwen3-0.6b", "qwen3-1.7b",
)  # fmt: skip


def plan(
    run: Run,
    ngram: Annotated[bool, typer.Option("--ngram", help="Full tables of n-grams.")] = False,
    vocab: Annotated[
        int | None, typer.Option("--vocab", metavar="V", min=1, help="Size of the vocabulary.", show_default=False)
    ] = None,
    max_order: Annotated[int, typer.Option("--max-order", metavar="N", min=0, max=20, help="Longest n-gram.")] = 3,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            show_default=False,
            callback=suggested(*PRESETS),
            help="A published model, or `all`. Repeat to compare.",
        ),
    ] = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Parameter counts of models, exactly.

    A --preset is a published transformer, of which nothing is allocated: how many parameters
    its embeddings, attention, feed-forward, norms and head have, and all together; a head tied
    to the embeddings has none of its own, an encoder's is its pooler. `flops_per_token` are the
    operations of a pass forward for a token, in the mean over a full context: 2 for each weight
    of a matrix and of the head, 4 for each number of a query and each position it sees.

    A full table of n-grams over V words has V^n probabilities, of which V^(n-1) (V-1) are
    free. The 0-gram model is uniform.

    Presets are gpt1, gpt2, gpt2-medium, gpt2-large, gpt2-xl, bert-base, bert-large, llama-7b,
    llama-13b, llama-3-8b, smollm2-135m, smollm2-360m, smollm2-1.7b, qwen2.5-0.5b, qwen3-0.6b
    and qwen3-1.7b.

    Examples:
      lmkit scaling plan --preset gpt2 --preset bert-base
      lmkit scaling plan --preset all --json
      lmkit scaling plan --ngram --vocab 60000
      lmkit scaling plan --ngram --vocab 256 --max-order 6 --json
    """
    if ngram == bool(preset) or (ngram and vocab is None):
        raise UsageError("say what is planned: --preset NAME, or --ngram --vocab V")
    if preset and vocab is not None:
        raise UsageError("--vocab goes with --ngram; a preset has its own")
    with streams.open_output(output) as out:
        if preset:
            _presets(out, preset, as_json=json)
        elif vocab is not None:
            _ngrams(out, vocab, max_order, as_json=json)


def _presets(out: streams.Output, names: Sequence[str], *, as_json: bool) -> None:
    from lmkit.architectures.presets import PUBLISHED, published
    from lmkit.scaling import model_sizes

    table = Table(out, ("preset", *model_sizes.PARTS, "parameters", "flops_per_token"), as_json=as_json)
    names = [each for name in names for each in (PUBLISHED if name == "all" else [name])]
    several = {name: published(name) for name in names}
    for name, settings in several.items():
        parts = model_sizes.parameters_by_part(settings)
        flops = model_sizes.forward_flops(settings)
        table.row({"preset": name, **parts, "parameters": settings.parameters, "flops_per_token": flops})


def _ngrams(out: streams.Output, vocabulary: int, max_order: int, *, as_json: bool) -> None:
    from lmkit.scaling import model_sizes

    table = Table(out, ("order", "parameters", "free_parameters"), as_json=as_json)
    for order in range(max_order + 1):
        free = model_sizes.ngram_free_parameters(vocabulary, order)
        table.row(
            {"order": order, "parameters": model_sizes.ngram_parameters(vocabulary, order), "free_parameters": free}
        )
