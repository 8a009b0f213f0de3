"""Options declared once, and groups of them."""
