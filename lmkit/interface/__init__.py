"""The Python interface: models, tokenizers and word vectors as objects, with the numbers of the commands."""

from lmkit.interface.encoder import Encoder
from lmkit.interface.encoder_decoder import EncoderDecoder
from lmkit.interface.language_model import LanguageModel
from lmkit.interface.loading import load
from lmkit.interface.predictors import Classifier, Regressor, Tagger
from lmkit.interface.tokenizer import Tokenizer
from lmkit.interface.word_vectors import WordVectors

__all__ = [
    "Classifier", "Encoder", "EncoderDecoder", "LanguageModel", "Regressor", "Tagger", "Tokenizer", "WordVectors",
    "load",
]  # fmt: skip
