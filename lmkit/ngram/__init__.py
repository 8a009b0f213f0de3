"""N-gram models: counting, smoothing, back-off lookup. numpy only."""
