"""Things done with any model, through the protocols only."""
