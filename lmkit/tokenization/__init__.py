"""Text to token ids and back. Knows bytes and arrays, no files and no models."""
