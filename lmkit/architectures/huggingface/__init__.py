"""Folders of Hugging Face's transformers: their config.json, names of tensors and tokenizer files, as `LoadedModel`.

Knows names and bytes of files, and opens none.
"""
