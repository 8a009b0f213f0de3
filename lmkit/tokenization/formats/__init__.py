"""Tokenizers of other tools, bytes to tokenizer and back: one module a format; opens no file."""
