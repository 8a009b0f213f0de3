"""Small random encoders as transformers saves them, with a tokenizer of word pieces."""

import pytest
from tiny_encoders import tokenizer_json

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_BERT = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 24,
    "max_position_embeddings": 32, "type_vocab_size": 2,
}  # fmt: skip
_DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 32}
_MODERN = {
    "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 24, "local_attention": 8,
    "max_position_embeddings": 64, "global_attn_every_n_layers": 3, "pad_token_id": 0, "cls_token_id": 2,
    "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip
FAMILIES = {
    "bert": ("BertForPreTraining", _BERT),
    "bert-body": ("BertModel", _BERT),
    "bert-mlm": ("BertForMaskedLM", {**_BERT, "hidden_act": "gelu_new"}),
    "distilbert": ("DistilBertForMaskedLM", _DISTILBERT),
    "roberta": ("RobertaForMaskedLM", {**_BERT, "type_vocab_size": 1, "pad_token_id": 1}),
    "xlm-r": ("XLMRobertaForMaskedLM", {**_BERT, "type_vocab_size": 1, "pad_token_id": 1}),
    "electra": ("ElectraForPreTraining", {**_BERT, "embedding_size": 8}),
    "electra-generator": ("ElectraForMaskedLM", {**_BERT, "embedding_size": 8}),
    "modernbert": ("ModernBertForMaskedLM", _MODERN),
    "untied": ("BertForMaskedLM", {**_BERT, "tie_word_embeddings": False}),
}


def save(folder, family, vocabulary=36):
    """The model that a folder now holds."""
    name, settings = FAMILIES[family]
    kind = getattr(transformers, name)
    torch.manual_seed(len(family))
    model = kind(kind.config_class(vocab_size=vocabulary, **settings)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    model.tie_weights()
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    return model
