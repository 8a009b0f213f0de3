"""Records in lines, TSV and JSON Lines: prompts, examples, questions, predictions."""
