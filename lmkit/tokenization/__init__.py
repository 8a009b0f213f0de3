"""Text to token ids and back; knows bytes and arrays, no files and no models."""
