"""What `lmkit sample` is made of: prompts from options and files, runs of them, and how their texts are told."""
