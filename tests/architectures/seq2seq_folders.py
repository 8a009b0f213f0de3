"""Small random encoder-decoders as transformers saves them, with SentencePiece models or byte-level merges."""

import json
from functools import cache

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

ENGLISH = ["the cat sat on the mat", "the dog ran to the cat", "a man saw the dogs", "cats and dogs run", "it is mad"]
SPANISH = ["el gato se sentó en la alfombra", "el perro corrió al gato", "un hombre vio los perros", "está loco"]
_T5 = {"d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 3}
_BART = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24, "decoder_ffn_dim": 20, "max_position_embeddings": 64,
}  # fmt: skip
_MARIAN = {**_BART, "activation_function": "swish", "scale_embedding": True}
FAMILIES = {
    "t5": ("T5ForConditionalGeneration", {
        **_T5, "num_decoder_layers": 3, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10,
    }),
    "t5-1.1": ("T5ForConditionalGeneration", {
        **_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": 1,
    }),
    "mt5": ("MT5ForConditionalGeneration", {**_T5, "feed_forward_proj": "gated-silu"}),
    "marian": ("MarianMTModel", _MARIAN),
    "marian-apart": ("MarianMTModel", {
        **_MARIAN, "share_encoder_decoder_embeddings": False, "activation_function": "relu", "scale_embedding": False,
    }),
    "bart": ("BartForConditionalGeneration", _BART),
    "bart-wide": ("BartForConditionalGeneration", {**_BART, "decoder_layers": 3, "scale_embedding": True}),
}  # fmt: skip


@cache
def spm(lines, size, *, pad=False):
    """A SentencePiece model of unigrams; `pad`: with T5's ids of padding, end and unknown."""
    from io import BytesIO

    model = BytesIO()
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} if pad else {"eos_id": 0, "unk_id": 1, "bos_id": -1}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(list(lines) * 8), model_writer=model, vocab_size=size, model_type="unigram",
        minloglevel=2, hard_vocab_limit=False, **ids,
    )  # fmt: skip
    return model.getvalue()


def pieces(model):
    """The pieces of a SentencePiece model in order."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def _marian_files(folder, *, apart):
    source, target = spm(tuple(ENGLISH), 40), spm(tuple(SPANISH), 44)
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    vocabularies = [pieces(source), pieces(target)] if apart else [[*pieces(source), *pieces(target)]]
    sizes = []
    for name, listed in zip(("vocab.json", "target_vocab.json"), vocabularies, strict=False):
        ids = {piece: number for number, piece in enumerate(dict.fromkeys(["</s>", "<unk>", "<pad>", *listed]))}
        (folder / name).write_text(json.dumps(ids))
        sizes.append(len(ids))
    said = {"separate_vocabs": apart, "tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "es"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    own = {"pad_token_id": 2, "decoder_start_token_id": 2}
    return {"vocab_size": sizes[0], "decoder_vocab_size": sizes[-1], **own}, {"bad_words_ids": [[2]]}


def _bart_files(folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=names, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(ENGLISH, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    return {"vocab_size": tokenizer.get_vocab_size()}, {"forced_bos_token_id": 0}


def save(folder, family, seed=0):
    """The model that a folder now holds."""
    name, settings = FAMILIES[family]
    generation = {}
    if family.startswith("marian"):
        own, generation = _marian_files(folder, apart=family == "marian-apart")
    elif family.startswith("bart"):
        own, generation = _bart_files(folder)
    else:
        model = spm(tuple(ENGLISH), 40, pad=True)
        (folder / "spiece.model").write_bytes(model)
        (folder / "tokenizer_config.json").write_text('{"extra_ids": 5}')
        own = {"vocab_size": len(pieces(model)) + 5 + 3 * seed, "decoder_start_token_id": 0}
    kind = getattr(transformers, name)
    torch.manual_seed(seed)
    model = kind(kind.config_class(**settings, **own)).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    model.tie_weights()
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_()
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    return model
