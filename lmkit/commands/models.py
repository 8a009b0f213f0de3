"""Opening models and texts for commands: which name is stdin, what is shown while reading."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lmkit.commands.options import Run
from lmkit.edge import streams
from lmkit.edge.folders import Folder
from lmkit.errors import CheckpointError, LmkitError, MissingError, UsageError

BIG = 64 << 20  # bytes of a model from which on several threads pay


def core_count(threads: int | None) -> int:
    """Threads to use: those asked for, else one for each core this process may use."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(threads: int | None, model: str) -> None:
    """Sets how many threads numpy multiplies with, which it wants to know before it is imported.

    One does for all but big models. A power of two parts matrices evenly, so that sums stay the same.
    """
    if threads is None:
        big = (streams.size_of([model]) or 0) >= BIG
        asked = os.environ.get("OMP_NUM_THREADS", "")
        threads = (int(asked) if asked.isdecimal() and int(asked) else core_count(None)) if big else 1
    os.environ["OPENBLAS_NUM_THREADS"] = str(1 << threads.bit_length() - 1)


def sources(models: Sequence[str], files: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Names of models and of texts; stdin serves what is not named. Raises UsageError where both want it."""
    if not models and not files:
        raise UsageError("no model", hint="name one with -m MODEL, or give texts as FILEs and the model on stdin")
    models = list(models) or [streams.STDIN]
    texts = list(files or []) or [streams.STDIN]
    one_stdin(*models, *texts)
    return models, texts


def one_stdin(*names: str | None) -> None:
    """Raises UsageError where stdin is named more than once."""
    if names.count(streams.STDIN) > 1:
        raise UsageError("stdin is wanted for two things at once", hint="name a file for one of them")


@contextmanager
def about(name: str) -> Iterator[None]:
    """Puts a file's name in front of what is wrong with it."""
    try:
        yield
    except LmkitError as error:
        raise type(error)(f"{streams.display(name)}: {error}", hint=error.hint) from None


def open_any(name: str) -> Any:
    """Whatever a checkpoint, an ARPA file or a folder of Hugging Face's transformers holds."""
    from lmkit import kinds

    if is_folder(name):
        return kinds.load_folder(Folder(name), name)
    return kinds.load(streams.read_whole(name), streams.display(name))


def is_folder(name: str) -> bool:
    """Whether a model is a folder."""
    return name != streams.STDIN and os.path.isdir(name)


def open_tokenizer(name: str) -> Any:
    """The tokenizer of any checkpoint or folder. Raises CheckpointError where there is none."""
    if is_folder(name):
        from lmkit import kinds

        return kinds.tokenizer_in(Folder(name), name)
    opened = open_any(name)
    tokenizer = getattr(opened, "tokenizer", None)
    if tokenizer is None:
        raise CheckpointError(f"{streams.display(name)}: of kind {opened.kind}, it has no tokenizer")
    return tokenizer


def open_kind(name: str, *wanted: str) -> Any:
    """A checkpoint of one of the wanted kinds. Raises CheckpointError for others."""
    model = open_any(name)
    if model.kind not in wanted:
        raise CheckpointError(
            f"{streams.display(name)}: of kind {model.kind}, this command takes {' or '.join(wanted)}"
        )
    return model


def open_distribution(name: str) -> Any:
    """An n-gram model whose numbers are probabilities and whose tables hold together, to be worked on as a whole."""
    model = open_kind(name, "ngram")
    if not model.normalised:
        raise CheckpointError(f"{streams.display(name)}: its scores are not probabilities, which this takes")
    with about(name):
        model.check()
    return model


def open_language_model(name: str) -> Any:
    """A model that gives the next token's distribution."""
    model = open_any(name)
    if not hasattr(model, "score_many"):
        hint = "`lmkit ngram fit --from-counts` makes a model of it" if model.kind == "ngram-counts" else None
        raise CheckpointError(f"{streams.display(name)}: of kind {model.kind}, not a language model", hint=hint)
    return model


@dataclass(frozen=True)
class Asked:
    """How neural models are to score, as options say it."""

    stride: int | None = None
    batch_tokens: int | None = None
    device: str = "cpu"

    @property
    def named(self) -> list[str]:
        """The options that were given."""
        given = {"--stride": self.stride, "--batch-tokens": self.batch_tokens}
        return [name for name, value in given.items() if value is not None] + ["--device"] * (self.device != "cpu")


def open_scoring_models(names: Sequence[str], asked: Asked) -> list[Any]:
    """Models that score texts, neural ones in torch where that is installed.

    Raises UsageError where options for neural models meet none, or --stride no transformer.
    """
    from lmkit.families.model import NeuralModel

    models = [open_language_model(name) for name in names]
    neural = [isinstance(model, NeuralModel) for model in models]
    if asked.named and not any(neural):
        raise UsageError(f"{asked.named[0]} is about neural models, and there is none")
    if asked.stride is not None and not any(map(context_of, models)):
        raise UsageError("--stride is about the windows of transformers, and there is none")
    return [
        _scoring(name, model, asked) if is_neural else model
        for name, model, is_neural in zip(names, models, neural, strict=True)
    ]


def context_of(model: Any) -> int | None:
    """The most tokens that a model with windows sees at once; None for others."""
    return int(model.settings.context) if model.kind == "transformer" else None


def _scoring(name: str, model: Any, asked: Asked) -> Any:
    """A neural model as it scores texts: by torch where there is one, else by numpy."""
    from importlib.util import find_spec

    context = context_of(model)
    if asked.stride is not None and context is not None and asked.stride > context:
        raise UsageError(f"--stride {asked.stride} is more than the context of {streams.display(name)}, {context}")
    options: dict[str, Any] = {"stride": asked.stride if context is not None else None}
    if asked.batch_tokens is not None:
        options["batch_tokens"] = asked.batch_tokens
    if find_spec("torch") is not None:
        from lmkit.neural.scoring import open_model

        return open_model(model.weights, device=asked.device, **options)
    if asked.device != "cpu":
        raise MissingError(
            f"--device {asked.device} needs PyTorch, the extra lmkit[torch]", hint="pip install 'lmkit-cli[torch]'"
        )
    return type(model)(model.weights, **options)


class Windows:
    """Says once that a model sees long texts through windows."""

    def __init__(self, run: Run, name: str, model: Any) -> None:
        self._context = context_of(model)
        self._notice = run.terminal.notice
        self._name = name
        self._model = model

    def tell(self, tokens: int) -> None:
        """Told of the length of each text, or line on its own."""
        if self._context is None or tokens <= self._context:
            return
        context, stride = self._model.context_used().split("/")
        self._notice(
            f"{self._name}: {tokens} tokens are more than its context; windows of {context} tokens move on by {stride}"
        )
        self._context = None


def conditions(model: Any, asked: Asked, *, eos: bool) -> dict[str, str]:
    """What a score depends on beside the model, as the signature says it."""
    ends = (
        "text" if model.form.line_end is None else "yes" if eos else "no"
    )  # text: line ends are no tokens of their own
    device = {"device": asked.device} if asked.device != "cpu" and hasattr(model, "weights") else {}
    return {"eos": ends, "unknown": "scored", **device}


def all_take_bytes(models: Sequence[Any]) -> bool:
    """Whether any bytes are a text to all of the models."""
    return all(model.tokenizer.takes_bytes for model in models)


def signature(model: Any, more: Mapping[str, str]) -> str:
    """How a score came about, in one string: same signature and same text, same number."""
    return "|".join(f"{key}:{value}" for key, value in {**model.signature, **more}.items())


def text_reader(
    errors: str, *, raw: bool = False, eager: bool = False, block: int = streams.BLOCK
) -> streams.TextReader:
    """A reader of texts; `errors` as --encoding-errors has it, `raw` for tokens that take any bytes."""
    return streams.TextReader(replace=errors == "replace", forgiving=True, raw=raw, eager=eager, block=block)


def text_for(run: Run, reader: streams.TextReader, name: str, models: Sequence[Any]) -> Iterator[bytes]:
    """The blocks of one text: whole lines, or the text as it is where line ends are text to one of the models."""
    if any(model.form.line_end is None for model in models):
        return warned(run, name, reader.pieces(name, separators=b"\n"))
    return warned(run, name, reader.blocks(name))


def blocks_of(run: Run, reader: streams.TextReader, files: Sequence[str], title: str) -> Iterator[bytes]:
    """The blocks of several texts in order, with progress on stderr."""
    with run.terminal.progress(title, streams.size_of(files)) as progress:
        for name in files:
            yield from progress.over(warned(run, name, reader.blocks(name)))
    tell_replaced(run, reader)


def warned(run: Run, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces of a text; says so where it looks like a checkpoint."""
    from lmkit.checkpoint import is_checkpoint

    first = next(pieces, b"")
    if is_checkpoint(first[:9]):
        run.terminal.notice(f"{streams.display(name)}: a checkpoint, taken for a text")
    if first:
        yield first
        yield from pieces


def tell_replaced(run: Run, reader: streams.TextReader) -> None:
    """Says how many invalid bytes were replaced, if any."""
    if reader.replaced:
        run.terminal.notice(f"{reader.replaced} invalid byte sequences replaced by U+FFFD")
