"""An encoder-decoder as the files of a folder that transformers loads with no code of its own: T5, MarianMT or BART.

Settings decide which it is: see `seq2seq_configuration.kind_for`. The tokenizer of targets is tokenizer.json; that of
sources, where it is another, is beside it as `source_tokenizer.json`, which transformers' AutoTokenizer does not read.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from lmkit.architectures.huggingface import seq2seq_tensors
from lmkit.architectures.huggingface.folder import OWN, TOKENIZER, WEIGHTS
from lmkit.architectures.huggingface.seq2seq_configuration import CLASSES, written
from lmkit.architectures.huggingface.seq2seq_folder import OWN_SOURCE
from lmkit.architectures.published_settings import CONFIG, GENERATION, to_folder
from lmkit.architectures.published_settings import TOKENIZER as TOKENIZER_CONFIG
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.architectures.seq2seq_transformer import Seq2SeqTransformerConfig
from lmkit.checkpoint import serialize_tensors
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
from lmkit.tokenization.formats import line_ends


def write(weights: LoadedSeq2Seq) -> dict[str, Iterable[bytes | memoryview]]:
    """The folder's files, by name, in pieces. Raises CheckpointError where transformers has no such model."""
    if not isinstance(weights.settings, Seq2SeqTransformerConfig):
        raise CheckpointError(
            f"of kind {weights.kind}, which transformers does not know",
            hint="`train seq2seq --arch transformer --preset t5 --shared` trains one that it does",
        )
    kind, config = written(weights.settings)
    name = next(each for each, own in CLASSES.items() if own == kind)
    tokens = _tokens(weights)
    config |= {
        **tokens, "architectures": [name], "model_type": kind, "is_encoder_decoder": True, "dtype": "float32",
        "torch_dtype": "float32", OWN: {"source": weights.source_form.to_json(), "text": weights.form.to_json()},
    }  # fmt: skip
    if weights.source_form.target:
        tokens["forced_bos_token_id"] = weights.source_form.target[0]
    if weights.form.barred:
        tokens["bad_words_ids"] = [[token] for token in weights.form.barred]
    tensors = seq2seq_tensors.write(kind, weights.settings, weights.tensors)
    files: dict[str, Iterable[bytes | memoryview]] = {
        CONFIG: _json(config),
        GENERATION: _json({**weights.published.generation, **tokens}),
        WEIGHTS: serialize_tensors(tensors, {"format": "pt"}),
        TOKENIZER: [_with_ends(weights, weights.tokenizer)],
        TOKENIZER_CONFIG: _json(_tokenizer_config(weights)),
        **{file: [data] for file, data in to_folder(weights.published).items()},
    }
    if weights.source_tokenizer is not weights.tokenizer:
        files[OWN_SOURCE] = [_with_ends(weights, weights.source_tokenizer)]
    return files


def _json(value: object) -> Iterator[bytes]:
    yield (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _tokens(weights: LoadedSeq2Seq) -> dict[str, Any]:
    """The ids of tokens that begin and end texts; padding is masked, so that any token does."""
    form, before = weights.form, weights.source_form.before
    ends = [token for token in dict.fromkeys((form.newline_id, *form.ends)) if token is not None]
    return {
        "decoder_start_token_id": form.start, "eos_token_id": ends[0] if len(ends) == 1 else ends,
        "bos_token_id": before[0] if before else None, "pad_token_id": form.start,
    }  # fmt: skip


def _with_ends(weights: LoadedSeq2Seq, tokenizer: Tokenizer) -> bytes:
    """A tokenizer.json that puts around texts what the model reads around sources, unless it has a way to."""
    document = json.loads(line_ends.write(tokenizer, None))
    form = weights.source_form
    if document.get("post_processor") is None:
        names = {token: tokenizer.piece(token).decode(errors="replace") for token in (*form.before, *form.after)}

        def special(tokens: tuple[int, ...]) -> list[dict[str, Any]]:
            return [{"SpecialToken": {"id": names[token], "type_id": 0}} for token in tokens]

        single = [*special(form.before), {"Sequence": {"id": "A", "type_id": 0}}, *special(form.after)]
        document["post_processor"] = {
            "type": "TemplateProcessing", "single": single, "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {name: {"id": name, "ids": [one], "tokens": [name]} for one, name in names.items()},
        }  # fmt: skip
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _tokenizer_config(weights: LoadedSeq2Seq) -> dict[str, Any]:
    tokenizer = weights.tokenizer
    named = {**tokenizer.specials, "pad": weights.form.start}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        **{f"{role}_token": tokenizer.piece(token).decode(errors="replace") for role, token in named.items()},
        **weights.published.special_tokens,
    }  # fmt: skip
