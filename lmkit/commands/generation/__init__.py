"""Building, running and writing generation for `sample`, `next` and `prompt tree`."""
