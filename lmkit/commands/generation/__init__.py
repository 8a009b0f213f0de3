"""The options of generation that several commands share, and what is made of them."""
