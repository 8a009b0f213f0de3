"""`lmkit entropy`: the command, and what it does with distributions and with texts."""
