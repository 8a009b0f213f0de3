"""Models that score texts: which library runs them, how windows move, what the signature says of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading.models import (
    has_torch,
    open_any,
    open_language_model,
    require_language_model,
    size_of_model,
    with_bos,
)
from lmkit.commands.loading.models import use_threads as use_model_threads
from lmkit.commands.options.standard import (
    BatchTokens,
    Bos,
    Device,
    EncodingErrors,
    Mix,
    MixText,
    Run,
    Stride,
)
from lmkit.commands.options.text_input import TextInput
from lmkit.errors import MissingError, UsageError
from lmkit.io import streams
from lmkit.protocols import (
    ImageCaptioner,
    LanguageModel,
    StoredModel,
    context_limit,
    is_captioner,
    is_conditional,
    is_encoder_decoder,
    slides_windows,
)
from lmkit.tokenization.normalization import of_tokenizer

if TYPE_CHECKING:
    from lmkit.architectures.neural_model import NeuralModel

SHOWN = 10  # unknown words that are named


@dataclass(frozen=True)
class ScoringOptions(TextInput):
    """How models are to score texts, alone or mixed; the fields are options, by their names."""

    mix: Mix = None
    mix_text: MixText = None
    bos: Bos = "auto"
    stride: Stride = None
    batch_tokens: BatchTokens = None
    device: Device = "cpu"
    encoding_errors: EncodingErrors = "strict"

    @property
    def named(self) -> list[str]:
        """The options about neural models that were given."""
        given = {"--stride": self.stride, "--batch-tokens": self.batch_tokens}
        return [name for name, value in given.items() if value is not None] + ["--device"] * (self.device != "cpu")


def open_scoring_models(names: Sequence[str], asked: ScoringOptions) -> list[StoredModel]:
    """Models that score texts, neural ones in torch where that is installed.

    Raises UsageError where options for neural models meet none, or --stride no transformer.
    """
    return scoring_models(names, [open_language_model(name) for name in names], asked)


def scoring_models(names: Sequence[str], models: Sequence[StoredModel], asked: ScoringOptions) -> list[StoredModel]:
    """Opened models as they score texts. Raises as `open_scoring_models` does."""
    from lmkit.architectures.neural_model import NeuralModel

    if asked.named and not any(isinstance(model, NeuralModel) for model in models):
        raise UsageError(f"{asked.named[0]} needs a neural model")
    if asked.stride is not None and not any(map(context_limit, models)):
        raise UsageError("--stride needs a transformer")
    opened: list[StoredModel] = [
        _scoring(name, model, asked) if isinstance(model, NeuralModel) else model
        for name, model in zip(names, models, strict=True)
    ]
    return [with_bos(model, asked.bos) for model in opened]


def open_generating_model(
    name: str, device: str, *, sources: bool = False, shown: Callable[[ImageCaptioner], StoredModel] | None = None
) -> StoredModel:
    """A model that generates: neural ones in numpy, or in torch on a device other than the CPU.

    `shown` makes a language model of a captioner, by showing it images.

    With `sources` it may be an encoder-decoder: then the language model of targets of an empty source, which makes
    those of others.
    """
    opened = open_any(name) if device == "cpu" or sources else None
    if shown is not None and is_captioner(opened):
        if device != "cpu":
            raise UsageError(f"--device {device} is not for captioners, which run on the CPU")
        return shown(opened)
    if sources and is_encoder_decoder(opened):
        if device != "cpu":
            raise UsageError(f"--device {device} is not for encoder-decoders, which run on the CPU")
        return opened.given(opened.source_ids(b""))
    if device == "cpu":
        return require_language_model(opened, name)
    return open_scoring_models([name], ScoringOptions(device=device))[0]


def use_threads(threads: int | None, names: Sequence[str], models: Sequence[LanguageModel]) -> None:
    """Has the products of numpy's models shared by threads, as `opening.use_threads` says; the numbers stay.

    Not where blocks of lines are scored in threads of their own.
    """
    from lmkit.architectures.neural_model import NeuralModel
    from lmkit.data.sequences import reaches_over_lines

    own = [(name, model) for name, model in zip(names, models, strict=True) if isinstance(model, NeuralModel)]
    if own and all(reaches_over_lines(model.form) for _, model in own):
        use_model_threads(threads, max((name for name, _ in own), key=size_of_model))


def _scoring(name: str, model: "NeuralModel", asked: ScoringOptions) -> StoredModel:
    """A neural model as it scores texts: by torch where there is one, else by numpy."""
    context = context_limit(model)
    if asked.stride is not None and context is not None and asked.stride > context:
        raise UsageError(f"--stride {asked.stride} exceeds the context length of {streams.display(name)}, {context}")
    options: dict[str, Any] = {"stride": asked.stride if context is not None else None}
    if asked.batch_tokens is not None:
        options["batch_tokens"] = asked.batch_tokens
    if has_torch():
        from lmkit.nn.language_model import open_model

        return open_model(model.weights, device=asked.device, **options)
    if asked.device != "cpu":
        raise MissingError(f"--device {asked.device} needs PyTorch, the extra `torch`", package="torch")
    return type(model)(model.weights, **options)


def tell_unknown(run: Run, model: LanguageModel, prompt: bytes) -> None:
    """Says once which words of a prompt the model does not know, as they mean the same to it."""
    tokenizer = model.source_tokenizer if is_conditional(model) else model.tokenizer
    unk = tokenizer.specials.get("unk")
    if unk is None or tokenizer.unit is None:
        return
    name = tokenizer.piece(unk)
    text = of_tokenizer(tokenizer).apply(prompt).decode(errors="replace")
    pieces = text.split() if tokenizer.separator else list(text.replace("\n", ""))
    unknown = [
        piece for piece in dict.fromkeys(pieces)
        if piece.encode() != name and unk in tokenizer.encode(piece.encode()).tolist()
    ]  # fmt: skip
    if unknown:
        listed = ", ".join(map(repr, unknown[:SHOWN])) + (f" and {len(unknown) - SHOWN} more" * (len(unknown) > SHOWN))
        run.terminal.notice(f"unknown {tokenizer.unit}s in --prompt, read as {name.decode()}: {listed}")


class ContextNotice:
    """Says once that a model sees long texts through windows."""

    def __init__(self, run: Run, name: str, model: object) -> None:
        self._context = context_limit(model)
        self._notice = run.terminal.notice
        self._name = name
        self._model = model

    def tell(self, tokens: int) -> None:
        """Take note of the length of a text, or of a line on its own."""
        if self._context is None or tokens <= self._context or not slides_windows(self._model):
            return
        context, stride = self._model.context_used().split("/")
        self._notice(
            f"{self._name}: {tokens} tokens exceed the context length, "
            f"using sliding windows of {context} tokens, stride {stride}"
        )
        self._context = None


def signature_parts(model: LanguageModel, asked: ScoringOptions, *, eos: bool) -> dict[str, str]:
    """What a score depends on beside the model, as the signature says it."""
    ends = (
        "text" if model.form.newline_id is None else "yes" if eos else "no"
    )  # text: line ends are no tokens of their own
    own = model.form.newline_id is None  # others always have their start token
    bos = {"bos": "no" if model.form.bos == "never" else "yes"} if own else {}
    device = {"device": asked.device} if asked.device != "cpu" and _uses_device(model) else {}
    return {**bos, "eos": ends, "unknown": "scored", **device}


def _uses_device(model: LanguageModel) -> bool:
    """Whether --device says where a model runs, or one that is mixed in."""
    from lmkit.architectures.neural_model import NeuralModel
    from lmkit.evaluation.mixture import Mixture

    return isinstance(model, NeuralModel | Mixture)
