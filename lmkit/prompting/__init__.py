"""Prompts: made of examples and templates, answered by any model, and what comes of it measured."""
