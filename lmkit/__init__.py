"""lmkit: language modelling for the shell, and from Python.

`lmkit.load("model.lm")` opens a model, an encoder, a classifier, a tokenizer or word vectors; see lmkit-python(7). What
that takes is imported when it is first used.
"""

__version__ = "0.1.0"
__all__ = [
    "Classifier", "Encoder", "EncoderDecoder", "LanguageModel", "Regressor", "Tagger", "Tokenizer", "WordVectors",
    "errors", "load",
]  # fmt: skip

TYPE_CHECKING = False  # as type checkers know it; to import it from `typing` takes longer than all of this module
if TYPE_CHECKING:
    from lmkit import errors
    from lmkit.interface import (
        Classifier,
        Encoder,
        EncoderDecoder,
        LanguageModel,
        Regressor,
        Tagger,
        Tokenizer,
        WordVectors,
        load,
    )


def __getattr__(name: str) -> object:
    """What `__all__` names, imported."""
    if name not in __all__:
        raise AttributeError(f"module 'lmkit' has no attribute {name!r}")
    from importlib import import_module

    return import_module("lmkit.errors") if name == "errors" else getattr(import_module("lmkit.interface"), name)


def __dir__() -> list[str]:
    """Names of this module, those too that are not imported yet."""
    return sorted({*globals(), *__all__})
