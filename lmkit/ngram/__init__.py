"""N-grams: counting, smoothing, lookup. numpy only; strangers to the neural and embedding rooms."""
