"""Which class answers for which kind of file or folder, imported when a file of its kind is opened; descriptions.

Knows names of kinds and first bytes, no files: who calls has the bytes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from typing import Any

from lmkit import checkpoint
from lmkit.architectures.families import CAPTIONER, ENCODER, FAMILIES, NETWORKS, SEQ2SEQ, VISION, imported
from lmkit.architectures.heads import TASKS, head_kind
from lmkit.architectures.weight_formats import FP32, PRECISION, PRECISIONS
from lmkit.errors import CheckpointError, LmkitError

KINDS: Mapping[str, str] = {
    **{kind: family.model for kind, family in FAMILIES.items()},
    "encoder": ENCODER.model,
    **{kind: family.model for kind, family in SEQ2SEQ.items()},
    "adapter": "lmkit.architectures.adapters:AdapterWeights",
    "captioner": CAPTIONER,
    "vision": VISION.model,
    "bag-of-ngrams": "lmkit.linear_models.bag_of_ngrams:BagOfNgrams",
    "linear-tagger": "lmkit.linear_models.linear_tagger:LinearTagger",
    "ngram": "lmkit.ngram.backoff_model:NGram",
    "ngram-counts": "lmkit.ngram.count_file:CountFile",
    "pretoken-counts": "lmkit.tokenization.bpe.pretoken_counts:PretokenCounts",
    "tokenizer": "lmkit.tokenization.tokenizer_file:TokenizerFile",
    "w2v": "lmkit.word_vectors.vector_space:VectorSpace",
}
SNIFF = 1 << 16


Content = checkpoint.Checkpoint


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Puts a file's name in front of what is wrong with it, unless it is there already."""
    try:
        yield
    except LmkitError as error:
        if str(error).startswith(f"{name}: "):
            raise
        raise type(error)(f"{name}: {error}", hint=error.hint) from None


def load(data: memoryview, name: str, seen: Callable[[Content], None] = lambda _: None) -> Any:
    """The model, or whatever else, that a checkpoint or ARPA file holds; a checkpoint that can be used is `seen`.

    Raises CheckpointError, with the file's name, where it is neither or can't be used.
    """
    with _about(name):
        if checkpoint.is_checkpoint(data[:9]):
            content = checkpoint.parse(data, name)
            model = _from_checkpoint(content)
            seen(content)
            return model
        start = bytes(data[:SNIFF])
        arpa = import_module("lmkit.ngram.arpa")
        if arpa.is_arpa(start):
            return _from_arpa(arpa, bytes(data))
        _refuse_known(start)
    what = "empty" if not len(data) else "neither a checkpoint nor an ARPA file"
    raise CheckpointError(f"{name}: {what}")


def extent(start: bytearray) -> int:
    """How many bytes to read of a file that begins so: as a checkpoint's header or an ARPA file's counts claim.

    None more where it is neither. Raises CheckpointError where more came than an ARPA file claims.
    """
    if checkpoint.is_checkpoint(start[:9]):
        return checkpoint.extent(start)
    arpa = import_module("lmkit.ngram.arpa")
    if arpa.is_arpa(bytes(start[:SNIFF])):
        return int(arpa.extent(start))
    return 0


def _refuse_known(start: bytes) -> None:
    """Raises CheckpointError for models of other tools by their first bytes, saying what to do."""
    if start.startswith(b"GGUF"):
        raise CheckpointError("a GGUF file", hint="`lmkit convert` makes a checkpoint of it")
    if start.startswith(b"PK\x03\x04") or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        raise CheckpointError(
            "a pickle, or a zip as torch.save writes it: reading it could run code",
            hint="`save_pretrained` of transformers writes a folder with safetensors, which lmkit reads",
        )


def load_folder(files: Mapping[str, memoryview], name: str) -> Any:
    """The model that a folder of Hugging Face's transformers holds.

    Raises CheckpointError, with the folder's name, where it can't be used.
    """
    vision = vision_in(files, name)
    if vision is not None:
        return imported(KINDS["vision"])(vision)
    tuned = fine_tuned_in(files, name)
    if tuned is not None:
        return import_module("lmkit.inference.fine_tuned").model_of(tuned)
    weights = weights_in(files, name)
    return imported(KINDS[weights.settings.kind])(weights)


def weights_in(files: Mapping[str, memoryview], name: str) -> Any:
    """The weights in such a folder, and all that goes with them. Raises CheckpointError as `load_folder` does."""
    return _in_folder("read", files, name)


def vision_in(files: Mapping[str, memoryview], name: str) -> Any | None:
    """The vision transformer in such a folder; None where it holds another model."""
    with _about(name):
        folders = import_module("lmkit.architectures.huggingface.vision_folder")
        return folders.read(files) if folders.is_vision(files) else None


def fine_tuned_in(files: Mapping[str, memoryview], name: str) -> Any | None:
    """The body and the head of a classifier, regressor or tagger in such a folder; None where it has no such head."""
    with _about(name):
        encoders = import_module("lmkit.architectures.huggingface.encoder_folder")
        if encoders.is_encoder(files):
            return encoders.read_fine_tuned(files)
        return import_module("lmkit.architectures.huggingface.decoder_heads").read_fine_tuned(files)


def architecture_in(files: Mapping[str, memoryview], name: str) -> str:
    """What transformers calls the model in such a folder: an encoder's type, or another's architecture."""
    found: str = _in_folder("architecture_in", files, name)
    return found


def tokenizer_in(files: Mapping[str, memoryview], name: str) -> Any:
    """The tokenizer in such a folder, whatever its model is. Raises CheckpointError as `load_folder` does."""
    return _in_folder("read_tokenizer", files, name)


def tokenizer_of(data: memoryview, name: str, seen: Callable[[Content], None] = lambda _: None) -> Any:
    """The tokenizer of a checkpoint, of which nothing else is read.

    Raises CheckpointError, with the file's name, where it has none or can't be used.
    """
    with _about(name):
        content = checkpoint.parse(data, name)
        _class_of(content)
        if not content.tokenizer:
            raise CheckpointError(f"of kind {content.kind}, it has no tokenizer")
        tokenizer = import_module("lmkit.tokenization.tokenizers").load(content)
        seen(content)
        return tokenizer


def weights_of(data: memoryview, name: str, seen: Callable[[Content], None] = lambda _: None) -> Any:
    """The weights of a neural model's checkpoint. Raises CheckpointError, with the file's name, for other kinds."""
    with _about(name):
        content = checkpoint.parse(data, name)
        if content.kind in NETWORKS and head_kind(content.config) in TASKS:
            model = import_module("lmkit.architectures.fine_tuned").FineTunedWeights
        elif content.kind == "encoder":
            model = import_module("lmkit.architectures.encoder_model").LoadedEncoder
        elif content.kind in SEQ2SEQ:
            model = import_module("lmkit.architectures.seq2seq_model").LoadedSeq2Seq
        elif content.kind in FAMILIES:
            model = import_module("lmkit.architectures.neural_model").LoadedModel
        else:
            raise CheckpointError(f"of kind {content.kind}, not a neural model")
        weights = model.from_checkpoint(content)
        seen(content)
        return weights


def weights_in_gguf(values: Mapping[str, Any], tensors: Mapping[str, Any], name: str) -> Any:
    """The weights of what a GGUF file says. Raises CheckpointError, with the file's name, where it can't be used."""
    with _about(name):
        return import_module("lmkit.architectures.gguf").read(values, tensors)


def load_gguf(values: Mapping[str, Any], tensors: Mapping[str, Any], data: memoryview, name: str) -> Any:
    """The model of what a GGUF file of such bytes says. Raises CheckpointError as `weights_in_gguf` does."""
    weights = weights_in_gguf(values, tensors, name)
    return imported(KINDS["transformer"])(replace(weights, digest=sha256(data).hexdigest()))


Record = dict[str, Any]
"""What `lmkit info` says: kind, config, tokenizer, numbers of parameters and bytes, origin, tensors, digest."""


def describe_checkpoint(content: Content, size: int) -> Record:
    """Describe a checkpoint of `size` bytes, whatever its kind; no tensor is touched."""
    shapes = dict(sorted(content.shapes().items()))
    packed = PRECISIONS.get(content.config.get(PRECISION, FP32))
    learned = [shape for name, (dtype, shape) in shapes.items() if _is_parameter(name, dtype)]
    blocks = {name: shape for name, (dtype, shape) in shapes.items() if dtype == "U8" and len(shape) == 2}
    learned += [
        (rows, width // packed.bytes * packed.weights)
        for name, (rows, width) in blocks.items()
        if packed is not None and not name.startswith("tokenizer.")
    ]
    return {
        "kind": content.kind,
        "config": dict(content.config),
        "tokenizer": dict(content.tokenizer),
        "parameters": sum(map(math.prod, learned)),
        "bytes": size,
        "origin": dict(content.origin),
        "tensors": {name: [dtype, list(shape)] for name, (dtype, shape) in shapes.items()},
        "digest": content.digest,
    }


def _is_parameter(name: str, dtype: str) -> bool:
    """Whether a tensor is the model's own and was learned; the lengths of word vectors follow from these."""
    return dtype.lstrip("B").startswith("F") and name not in ("idf", "norms") and not name.startswith("tokenizer.")


def describe_folder(files: Mapping[str, memoryview], name: str) -> Record:
    """Describe a folder of Hugging Face's transformers; no tensor is touched. Raises as `load_folder` does."""
    record: Record = _in_folder("record", files, name)
    return record


def describe_arpa(data: memoryview, name: str) -> Record:
    """Describe an ARPA file. Raises CheckpointError, with the file's name, for other files."""
    model = load(data, name)
    if not hasattr(model, "tables"):
        raise CheckpointError(f"{name}: neither a checkpoint nor an ARPA file")
    tables = model.tables
    return {
        "kind": "ngram",
        "config": {**model.config, "format": "ARPA", "ngrams": [len(table.log10) for table in tables]},
        "tokenizer": {"type": "word", "size": model.tokenizer.size, "digest": model.tokenizer.digest},
        "parameters": sum(len(table.log10) + len(table.backoff) for table in tables),
        "bytes": len(data),
        "origin": {},
        "tensors": {},
        "digest": model.signature["model"],
    }


def _in_folder(function: str, files: Mapping[str, memoryview], name: str) -> Any:
    with _about(name):
        rooms = "lmkit.architectures.huggingface"
        visions = import_module(f"{rooms}.vision_folder")
        if visions.is_vision(files):
            return getattr(visions, function)(files)
        encoders = import_module(f"{rooms}.encoder_folder")
        if encoders.is_encoder(files):
            return getattr(encoders, function)(files)
        pairs = import_module(f"{rooms}.seq2seq_folder")
        others = import_module(f"{rooms}.folder")
        return getattr(pairs if pairs.is_encoder_decoder(files) else others, function)(files)


def _from_checkpoint(content: Content) -> Any:
    place = _class_of(content)
    if content.kind in NETWORKS and head_kind(content.config) in TASKS:
        place = "lmkit.inference.fine_tuned:FineTunedModel"
    if content.kind == "w2v" and "head" in content.config:
        place = "lmkit.word_vectors.text_heads:VectorsWithHead"
    return imported(place).from_checkpoint(content)


def _class_of(content: Content) -> str:
    """Where the class of a kind is. Raises CheckpointError for no kind of model."""
    if content.kind == "training-state":
        raise CheckpointError("the state of a training run, no model", hint="`lmkit train --resume` continues from it")
    if content.kind not in KINDS:
        raise CheckpointError(f"unknown kind {content.kind!r}", hint="update lmkit to read it")
    return KINDS[content.kind]


def _from_arpa(arpa: Any, data: bytes) -> Any:
    tables, tokenizer = arpa.read(data)
    model = import_module("lmkit.ngram.backoff_model").NGram
    config: dict[str, Any] = {"order": len(tables), "smoothing": "imported"}
    if import_module("lmkit.ngram.probability_sums").excess(tables).contexts:
        config["normalised"] = False
    return model(tables, tokenizer, config, sha256(data).hexdigest())
