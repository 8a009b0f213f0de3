"""What the commands that generate text make of their options."""
