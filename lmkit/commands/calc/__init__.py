"""`lmkit calc`: the formulas on numbers given as JSON, by the very functions that the models call."""
