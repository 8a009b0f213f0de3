# What the units share. Before it: UNIT, its name; FIGURES, its SVG files. Each makes $(OUT)/table.tsv; `page` makes one
# HTML file of table, figures and texts/UNIT.*.md, with `check` an answer to the unit's exercise is graded.

EXAMPLES := $(dir $(lastword $(MAKEFILE_LIST)))
LMKIT ?= lmkit
PYTHON ?= python3
OUT ?= build/$(UNIT)
STEPS ?= full

.DELETE_ON_ERROR:
.PHONY: page check
page: $(OUT)/page.html
	@column -t -s "$$(printf '\t')" $(OUT)/table.tsv 2> /dev/null || cat $(OUT)/table.tsv
	@echo "page: $<"

$(OUT)/page.html: $(OUT)/table.tsv $(FIGURES) $(wildcard $(EXAMPLES)texts/$(UNIT).*.md) $(EXAMPLES)unit-page.py
	@$(PYTHON) $(EXAMPLES)unit-page.py $(UNIT) -o $@ --table $(OUT)/table.tsv $(FIGURES:%=--figure %)
