"""`lmkit prompt`: prompts made, answered and compared; records go from command to command."""
