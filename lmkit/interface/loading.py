"""Opening whatever a file or folder holds, as the object that answers for its kind."""

import os

from lmkit.commands.loading import encoders
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.adapted_models import open_adapted_model
from lmkit.commands.options import standard
from lmkit.errors import CheckpointError
from lmkit.interface.arguments import Name, checked
from lmkit.interface.encoder import Encoder
from lmkit.interface.encoder_decoder import EncoderDecoder
from lmkit.interface.language_model import LanguageModel
from lmkit.interface.predictors import Classifier, Regressor, Tagger
from lmkit.interface.session import session
from lmkit.interface.tokenizer import Tokenizer
from lmkit.interface.word_vectors import WordVectors
from lmkit.io import streams
from lmkit.protocols import (
    is_classifier,
    is_encoder,
    is_encoder_decoder,
    is_language_model,
    is_regressor,
    is_tagger,
)
from lmkit.tokenization.tokenizer_file import TokenizerFile
from lmkit.word_vectors.vector_space import VectorSpace


def load(
    name: Name, *, adapter: Name | None = None, device: str = "cpu", threads: int | None = None
) -> LanguageModel | Encoder | EncoderDecoder | Classifier | Regressor | Tagger | Tokenizer | WordVectors:
    """Open a model, an encoder (-decoder), a classifier, regressor or tagger, a tokenizer or word vectors.

    `name` is what `-m` of the commands takes: a checkpoint, a Hugging Face folder, a GGUF file or an ARPA file.
    `adapter` is a low-rank adapter of the model, one with a head. `device` (`cpu`, `cuda` or `mps`) and `threads` are
    those of the commands. Raises DataError where the file can't be read, CheckpointError where it is damaged or of
    another kind.
    """
    path = os.fspath(name)
    checked("device", device, standard.Device)
    checked("threads", threads, standard.Threads)
    with session():
        opened = opening.open_any(path) if adapter is None else open_adapted_model(path, os.fspath(adapter))
    kind = opened.kind
    if is_language_model(opened):
        return LanguageModel(path, opened, device=device, threads=threads)
    if is_encoder(opened):
        return Encoder(path, encoders.require_encoder(opened, path), device=device, threads=threads)
    if is_classifier(opened):
        return Classifier(path, kind, opened)
    if is_regressor(opened):
        return Regressor(path, kind, opened)
    if is_tagger(opened):
        return Tagger(path, kind, opened)
    if is_encoder_decoder(opened):
        return EncoderDecoder(path, opened, threads=threads)
    if isinstance(opened, VectorSpace):
        return WordVectors(path, opened)
    if isinstance(opened, TokenizerFile):
        return Tokenizer(path, opened.tokenizer)
    raise CheckpointError(
        f"{streams.display(path)}: of kind {kind}, expected a language model, an encoder, a classifier, "
        "regressor or tagger, a tokenizer or word vectors"
    )
