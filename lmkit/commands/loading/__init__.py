"""Opening models, mixtures and texts for commands."""
