"""Reports of perplexities and metrics."""
