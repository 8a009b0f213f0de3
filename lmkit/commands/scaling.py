"""`lmkit scaling`: sizes of models."""

from collections.abc import Sequence
from typing import Annotated

import typer

from lmkit.commands.options.standard import Json, Output, Run, suggested
from lmkit.errors import UsageError
from lmkit.io import outputs
from lmkit.io.records import Table

PRESETS = (
    "gpt1", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "bert-base", "bert-large", "roberta", "electra-small",
    "modernbert-base", "llama-7b", "llama-13b", "llama-3-8b", "smollm2-135m",
    "smollm2-360m", "smollm2-1.7b", "qwen2.5-0.5b", "qwen3-0.6b", "qwen3-1.7b",
)  # fmt: skip


def plan(
    run: Run,
    ngram: Annotated[bool, typer.Option("--ngram", help="Count full n-gram tables over --vocab words.")] = False,
    vocab: Annotated[
        int | None, typer.Option("--vocab", metavar="V", min=1, help="Vocabulary size.", show_default=False)
    ] = None,
    max_order: Annotated[
        int, typer.Option("--max-order", metavar="N", min=0, max=20, help="Longest n-gram order.")
    ] = 3,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            show_default=False,
            callback=suggested(*PRESETS),
            help="Published model, or `all`. Repeat to compare models.",
        ),
    ] = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Count the parameters of models exactly.

    --preset counts a published transformer without allocating it: parameters of embeddings, attention,
    feed-forward layers, norms and head, and their total. A head tied to the embeddings counts 0; an encoder's
    head is its pooler. `flops_per_token` is a forward pass per token, averaged over a full context: 2 per
    weight of matrices and head, 4 per query component and visible position.

    A full n-gram table over V words has V^n probabilities, V^(n-1) (V-1) of them free. The 0-gram model is
    uniform. Presets: gpt1, gpt2, gpt2-medium, gpt2-large, gpt2-xl, bert-base, bert-large, roberta,
    electra-small, modernbert-base, llama-7b, llama-13b, llama-3-8b, smollm2-135m, smollm2-360m, smollm2-1.7b,
    qwen2.5-0.5b, qwen3-0.6b, qwen3-1.7b.

    Examples:
      lmkit scaling plan --preset gpt2 --preset bert-base
      lmkit scaling plan --preset all --json
      lmkit scaling plan --ngram --vocab 60000
      lmkit scaling plan --ngram --vocab 256 --max-order 6 --json
    """
    if ngram == bool(preset) or (ngram and vocab is None):
        raise UsageError("nothing to count: expected --preset NAME, or --ngram --vocab V")
    if preset and vocab is not None:
        raise UsageError("--vocab needs --ngram; a preset has its own vocabulary")
    with outputs.open_output(output) as out:
        if preset:
            _presets(run, out, preset, as_json=json)
        elif vocab is not None:
            _ngrams(run, out, vocab, max_order, as_json=json)


def _presets(run: Run, out: outputs.Output, names: Sequence[str], *, as_json: bool) -> None:
    from lmkit.architectures.presets import PUBLISHED, published
    from lmkit.scaling import model_sizes

    table = Table(out, ("preset", *model_sizes.PARTS, "parameters", "flops_per_token"), as_json=as_json)
    names = [each for name in names for each in (PUBLISHED if name == "all" else [name])]
    several = {name: published(name) for name in names}
    for name, settings in several.items():
        parts = model_sizes.parameters_by_part(settings)
        flops = model_sizes.forward_flops(settings)
        record = {"preset": name, **parts, "parameters": settings.parameters, "flops_per_token": flops}
        table.row(run.signed(record))


def _ngrams(run: Run, out: outputs.Output, vocabulary: int, max_order: int, *, as_json: bool) -> None:
    from lmkit.scaling import model_sizes

    table = Table(out, ("order", "parameters", "free_parameters"), as_json=as_json)
    for order in range(max_order + 1):
        free = model_sizes.ngram_free_parameters(vocabulary, order)
        parameters = model_sizes.ngram_parameters(vocabulary, order)
        table.row(run.signed({"order": order, "parameters": parameters, "free_parameters": free}))
