# What the units share. Before it: UNIT, its name; FIGURES, its SVG files; TABLES, where there is more than one. Each makes
# $(OUT)/table.tsv; `page` makes one HTML file of tables, figures and texts/UNIT.*.md; where there is an exercise, `check`
# grades an answer. STEPS=small runs all of it in less time than it takes to learn anything.

EXAMPLES := $(dir $(lastword $(MAKEFILE_LIST)))
LMKIT ?= lmkit
PYTHON ?= python3
OUT ?= build/$(UNIT)
STEPS ?= full
TABLES ?= $(OUT)/table.tsv

.DELETE_ON_ERROR:
.PHONY: page check clean
page: $(OUT)/page.html
	@column -t -s "$$(printf '\t')" $(OUT)/table.tsv 2> /dev/null || cat $(OUT)/table.tsv
	@echo "page: $<"

$(OUT)/page.html: $(TABLES) $(FIGURES) $(wildcard $(EXAMPLES)texts/$(UNIT).*.md) $(EXAMPLES)unit-page.py
	@$(PYTHON) $(EXAMPLES)unit-page.py $(UNIT) -o $@ $(TABLES:%=--table %) $(FIGURES:%=--figure %)

clean:
	rm -rf $(OUT)
