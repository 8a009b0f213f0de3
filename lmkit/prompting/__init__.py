"""Prompts: templates, demonstrations, candidate scoring with any model."""
