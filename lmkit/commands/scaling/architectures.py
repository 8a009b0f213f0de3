"""The architectures that `lmkit scaling` counts: published ones by name, and those of models in files."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import suggested
from lmkit.errors import UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.architectures.config import ModelConfig
    from lmkit.architectures.encoder import EncoderConfig
    from lmkit.architectures.transformer import TransformerConfig

PRESETS = (
    "gpt1", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "bert-base", "bert-large", "roberta", "electra-small",
    "modernbert-base", "llama-7b", "llama-13b", "llama-3-8b", "smollm2-135m", "smollm2-360m",
    "smollm2-1.7b", "qwen2.5-0.5b", "qwen3-0.6b", "qwen3-1.7b",
)  # fmt: skip
Presets = Annotated[
    list[str] | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        show_default=False,
        callback=suggested(*PRESETS),
        help="Published model, or `all`. Repeat to compare models.",
    ),
]
Context = Annotated[
    int | None,
    typer.Option("--context", metavar="T", min=1, show_default="the model's", help="Context length, in tokens."),
]


def published(presets: Sequence[str]) -> list[tuple[str, "TransformerConfig | EncoderConfig"]]:
    """Return names and settings of published models, `all` of them among the names. Raises UsageError for others."""
    from lmkit.architectures import presets as known

    names = [each for name in presets for each in (known.PUBLISHED if name == "all" else [name])]
    return [(name, known.published(name)) for name in names]


def named(presets: Sequence[str], models: Sequence[str]) -> Iterator[tuple[str, "ModelConfig"]]:
    """Yield names and settings of published models, then of models in files. Raises UsageError for what has none."""
    from lmkit.architectures.neural_model import NeuralModel

    opening.check_single_stdin(*models)
    yield from published(presets)
    for name in models:
        model = opening.open_language_model(name)
        if not isinstance(model, NeuralModel):
            raise UsageError(f"{streams.display(name)}: no neural model, and FLOPs are counted of networks")
        yield streams.display(name), model.settings
