"""Figures: charts as values, laid out without a library, written as SVG, HTML or PNG (matplotlib)."""
