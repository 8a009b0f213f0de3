"""Folders of Hugging Face's transformers: their config.json, names of tensors and tokenizer files, as `Weights`.

Knows names and bytes of files, and opens none.
"""
