"""`lmkit train`: neural language models from texts."""
