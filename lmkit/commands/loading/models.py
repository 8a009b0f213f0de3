"""Opening models and texts for commands: which name is stdin, what is shown while reading."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lmkit.commands.options.standard import TOKENS, Run
from lmkit.errors import CheckpointError, DataError, LmkitError, MissingError, UsageError
from lmkit.io import gguf, hub_cache, installation, streams
from lmkit.io.folders import Folder
from lmkit.io.messages import Terminal
from lmkit.io.terminal import is_terminal
from lmkit.protocols import (
    LanguageModel,
    StoredModel,
    is_captioner,
    is_encoder,
    is_encoder_decoder,
    is_language_model,
)

BIG = 64 << 20  # bytes of a model from which on several threads pay


def has_torch() -> bool:
    """Whether PyTorch is there and can be loaded, which takes a while."""
    try:
        import_module("lmkit.nn.network")
    except ImportError:
        return False
    return True


def needs_torch(what: str) -> None:
    """Raises MissingError where PyTorch is not there; `what` is done with it."""
    if not has_torch():
        raise MissingError(f"{what} with PyTorch", package="torch")


def core_count(threads: int | None) -> int:
    """Threads to use: those asked for, else one for each core this process may use."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(threads: int | None, model: str) -> None:
    """Sets how many threads multiply in numpy: those asked for, else one for all but big models."""
    from lmkit.inference import thread_pool

    thread_pool.use(_asked(threads) if threads is not None or _is_big(model) else 1)


def one_thread() -> None:
    """From now on numpy multiplies with one thread, and no other is left, as none comes along into other processes."""
    from lmkit.inference import thread_pool

    thread_pool.shutdown()


def processes(threads: int | None, model: str) -> int:
    """How many processes may share texts: as many as threads; for big models one, whose products these share."""
    return 1 if _is_big(model) else _asked(threads)


def _is_big(model: str) -> bool:
    return size_of_model(model) >= BIG


def size_of_model(name: str) -> int:
    """Bytes of a checkpoint, or of the weights in a folder; 0 where that is not known, as of stdin."""
    names = [name]
    if is_folder(name):
        folder = located(name)
        names = [os.path.join(folder, file) for file in streams.names_in(folder) if file.endswith(".safetensors")]
    return streams.size_of(names) or 0


def _asked(threads: int | None) -> int:
    """Threads asked for, by an option or as numerical libraries are asked, or all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return (
        int(asked) if threads is None and asked.isdecimal() and len(asked) < 10 and int(asked) else core_count(threads)
    )


def sources(models: Sequence[str], files: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Names of models and of texts; stdin serves what is not named. Raises UsageError where both want it."""
    if not models and not files:
        raise UsageError("no model: give -m MODEL, or pipe one in and name the texts as FILEs")
    models = list(models) or [streams.STDIN]
    texts = list(files or []) or [streams.STDIN]
    check_single_stdin(*models, *texts)
    return models, texts


def check_single_stdin(*names: str | None) -> None:
    """Raises UsageError where stdin is named more than once."""
    if names.count(streams.STDIN) > 1:
        raise UsageError("stdin is wanted for two things at once", hint="name a file for one of them")


@contextmanager
def error_context(name: str) -> Iterator[None]:
    """Puts a file's name in front of what is wrong with it, unless it is there already, with a line."""
    shown = streams.display(name)
    try:
        yield
    except LmkitError as error:
        if str(error).startswith(f"{shown}:"):
            raise
        raise type(error)(f"{shown}: {error}", hint=error.hint) from None


def open_any(name: str) -> Any:
    """Whatever a checkpoint, an ARPA file or a folder of Hugging Face's transformers holds."""
    opened = _opened(name)
    precision = getattr(opened, "precision", "")
    if precision and find_spec("numba") is None and Terminal.current is not None:
        from lmkit.inference.stored_products import is_large

        if is_large(opened.weights.tensors):
            Terminal.current.notice_once(
                f"{streams.display(name)}: its {precision} weights become float32, as without numba they can't be read "
                f"as they are stored: {installation.adding('numba')}"
            )
    return opened


def _opened(name: str) -> Any:
    from lmkit import registry

    if is_folder(name):
        return registry.load_folder(open_folder(name), name)
    data = given_model(name)
    if is_gguf(name, data):
        return registry.load_gguf(*gguf.read(name), data, name)
    return registry.load(data, streams.display(name), unprotected(name))


def is_gguf(name: str, data: memoryview) -> bool:
    """Whether a file is a GGUF file; it must be named, as it is mapped."""
    return name != streams.STDIN and bytes(data[:4]) == gguf.MAGIC


def open_weights(name: str) -> Any:
    """The weights of a neural model: a checkpoint, a Hugging Face folder or a GGUF file. Raises CheckpointError."""
    from lmkit import registry

    if is_folder(name):
        return registry.weights_in(open_folder(name), name)
    data = read_model(name)
    if is_gguf(name, data):
        return replace(registry.weights_in_gguf(*gguf.read(name), name), digest=sha256(data).hexdigest())
    return registry.weights_of(data, streams.display(name), unprotected(name))


def open_vectors(name: str) -> Any | None:
    """The word vectors of a checkpoint; None for a folder and other kinds. Raises CheckpointError."""
    from lmkit import checkpoint

    if is_folder(name):
        return None
    data = read_model(name)
    if not checkpoint.is_checkpoint(data[:9]):
        return None
    with error_context(name):
        content = checkpoint.parse(data)
    return open_any(name) if content.kind == "w2v" and "head" not in content.config else None


def unprotected(name: str) -> Callable[[Any], None]:
    """What warns of a checkpoint that has no digests."""

    def seen(content: Any) -> None:
        if not content.protected and Terminal.current is not None:
            shown = streams.display(name)
            Terminal.current.notice_once(
                f"{shown}: written by an earlier lmkit without digests, damage is not detected"
            )

    return seen


def read_model(name: str) -> memoryview:
    """The bytes of a checkpoint or ARPA file; of what is neither the first, if it is compressed or no file.

    Raises CheckpointError where a compressed file or a pipe holds more than it claims.
    """
    from lmkit import registry

    with error_context(name):
        return streams.read_whole(located(name), registry.extent)


def given_model(name: str, how: str = "-m MODEL") -> memoryview:
    """Return what `read_model` does. Raises UsageError, which says `how` to name one, where stdin has none."""
    nothing = UsageError(f"no model: give {how}, or pipe one in")
    if name == streams.STDIN and is_terminal(sys.stdin):
        raise nothing
    data = read_model(name)
    if name == streams.STDIN and not len(data):
        raise nothing
    return data


def is_folder(name: str) -> bool:
    """Whether a model is a folder, or the name of one in the hub's cache."""
    return name != streams.STDIN and os.path.isdir(located(name))


def located(name: str) -> str:
    """Return where a model is: what the name says if that exists, else a folder in the cache of Hugging Face's hub.

    A notice says the revision. Raises DataError for a name such as `org/name` that neither has.
    """
    if name == streams.STDIN or os.path.lexists(name):
        return name
    found = hub_cache.find(name)
    if found is None:
        if hub_cache.is_hub_name(name):
            place = hub_cache.cache_folder()
            raise DataError(f"{name}: no such file or folder, and no such model in the Hugging Face cache, {place}")
        return name
    if Terminal.current is not None:
        Terminal.current.notice_once(f"{name}: revision {found.revision} in the Hugging Face cache")
    return found.folder


def cached_revision(name: str) -> dict[str, str]:
    """What an origin says of a model out of the hub's cache, its name and revision; of others nothing."""
    found = None if name == streams.STDIN or os.path.lexists(name) else hub_cache.find(name)
    return {} if found is None else {"model": name, "revision": found.revision}


def open_folder(name: str) -> Folder:
    """The files of a folder, or of one in the hub's cache."""
    return Folder(located(name))


def open_tokenizer(name: str) -> Any:
    """The tokenizer of any checkpoint or folder. Raises CheckpointError where there is none."""
    from lmkit import registry
    from lmkit.checkpoint import is_checkpoint

    if is_folder(name):
        return registry.tokenizer_in(open_folder(name), name)
    data, shown = given_model(name), streams.display(name)
    if is_checkpoint(data[:9]):
        return registry.tokenizer_of(data, shown, unprotected(name))
    if is_gguf(name, data):
        return registry.weights_in_gguf(*gguf.read(name), name).tokenizer
    return tokenizer_of(registry.load(data, shown), name)


def tokenizer_of(opened: Any, name: str) -> Any:
    """The tokenizer of what a checkpoint holds. Raises CheckpointError where there is none."""
    tokenizer = getattr(opened, "tokenizer", None)
    if tokenizer is None:
        raise CheckpointError(f"{streams.display(name)}: of kind {opened.kind}, it has no tokenizer")
    return tokenizer


def named_tokenizer(name: str) -> Any:
    """The tokenizer that --tokens names, beside TOKENS. Raises UsageError where there is no such file."""
    if name != streams.STDIN and not os.path.exists(name) and hub_cache.find(name) is None:
        raise UsageError(f"--tokens {name!r}: expected one of {', '.join(TOKENS)}, or a file")
    return open_tokenizer(name)


def open_kind(name: str, *wanted: str) -> Any:
    """A checkpoint of one of the wanted kinds. Raises CheckpointError for others."""
    model = open_any(name)
    if model.kind not in wanted:
        raise CheckpointError(
            f"{streams.display(name)}: of kind {model.kind}, this command takes {' or '.join(wanted)}"
        )
    return model


def open_distribution(name: str) -> Any:
    """Open an n-gram model, not of stupid backoff, whose tables hold together, to be worked on as a whole."""
    model = open_kind(name, "ngram")
    if model.unseen:
        raise CheckpointError(f"{streams.display(name)}: its scores are not probabilities, which this takes")
    with error_context(name):
        model.check()
    return model


def open_language_model(name: str) -> StoredModel:
    """A model that gives the next token's distribution."""
    return require_language_model(open_any(name), name)


def require_language_model(model: Any, name: str) -> StoredModel:
    """The same model. Raises CheckpointError where it gives no distribution of the next token."""
    if not is_language_model(model):
        if is_encoder(model):
            raise CheckpointError(
                f"{streams.display(name)}: an encoder, which reads both ways and does not say what comes next",
                hint="`lmkit fill` fills masks with it, `lmkit ppl --pseudo` scores, `lmkit embed` gives vectors",
            )
        if is_encoder_decoder(model):
            raise CheckpointError(
                f"{streams.display(name)}: an encoder-decoder, which says what comes next only for a source",
                hint="`lmkit sample` writes targets, `lmkit score --pairs` and `lmkit ppl --pairs` score them",
            )
        if is_captioner(model):
            raise CheckpointError(
                f"{streams.display(name)}: a captioner, which says what comes next only after images",
                hint="`lmkit sample --image` and `lmkit prompt answer --image` show it some",
            )
        raise CheckpointError(
            f"{streams.display(name)}: of kind {model.kind}, not a language model", hint=MADE_OF.get(model.kind)
        )
    return model


MADE_OF = {
    "ngram-counts": "`lmkit ngram fit --from-counts` makes a model of it",
    "adapter": "`lmkit finetune merge -m BASE --adapter FILE` makes a model of it and its base",
}
"""How a language model is made of another kind of file."""


def tell_not_probabilities(run: Run, name: str, model: LanguageModel) -> None:
    """Says so where a model's scores need not sum to one."""
    if not model.normalised:
        run.terminal.notice(f"{streams.display(name)}: its scores are not probabilities; compare with care")


def with_special(model: StoredModel, asked: bool) -> StoredModel:
    """The model, to which names of special tokens in a prompt mean these tokens if `asked`. Raises UsageError."""
    if not asked:
        return model
    from copy import copy
    from dataclasses import replace

    from lmkit.architectures.neural_model import NeuralModel

    if not model.tokenizer.is_subword or not isinstance(model, NeuralModel):
        kind = model.kind if model.tokenizer.is_subword else f"{model.tokenizer.kind} tokenizer"
        raise UsageError(f"--parse-special is for neural models with merges, not for a {kind}")
    made = copy(model)
    made.weights = replace(model.weights, tokenizer=model.tokenizer.with_specials())
    return made


def generation_of(model: object) -> Mapping[str, Any]:
    """The settings of generation that a model's makers publish. Raises CheckpointError where there are none."""
    from lmkit.architectures.neural_model import NeuralModel
    from lmkit.architectures.seq2seq_model import ConditionalModel

    generation = model.weights.published.generation if isinstance(model, NeuralModel | ConditionalModel) else {}
    if not generation:
        raise CheckpointError("it has no settings of generation", hint="leave --defaults out")
    return generation


def with_bos(model: StoredModel, asked: str) -> StoredModel:
    """The model, its start token where --bos says: `auto` leaves that to the model. Raises UsageError."""
    if asked == "auto" or (asked == "always" and model.form.bos == "always"):
        return model
    from copy import copy
    from dataclasses import replace

    from lmkit.architectures.neural_model import NeuralModel

    if not isinstance(model, NeuralModel) or model.form.newline_id is not None:
        raise UsageError(
            f"--bos {asked} is for published transformers: this {model.kind} was trained with its start token"
        )
    made = copy(model)
    made.form = replace(model.form, bos=asked)
    made.weights = replace(model.weights, form=made.form)
    return made


def all_accept_any_bytes(models: Sequence[LanguageModel]) -> bool:
    """Whether any bytes are a text to all of the models."""
    return all(model.tokenizer.accepts_any_bytes for model in models)


def signature(model: LanguageModel, more: Mapping[str, str]) -> str:
    """How a score came about, in one string: same signature and same text, same number."""
    return "|".join(f"{key}:{value}" for key, value in {**model.signature, **more}.items())
