"""Model sizes and scaling laws."""
