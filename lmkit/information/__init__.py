"""Information theory of distributions and texts: entropies, divergences, block counts. numpy only."""
