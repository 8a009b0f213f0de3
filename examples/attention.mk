# Attention by hand: three tokens, four numbers each, every step on paper and then by `lmkit calc`.
# `make -f examples/attention.mk` (seconds, base install). Exercise: `make -f examples/attention.mk check LAB=lab.py`.

UNIT := attention
OUT ?= build/attention
FIGURES := $(OUT)/weights.svg
TOKENS := el gato duerme
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk

QUERIES := [[1, 0, 1, 0], [0, 2, 0, 1], [2, 1, 0, 0]]
KEYS := [[0, 1, 1, 0], [1, 2, 0, 1], [2, 0, 1, 1]]
VALUES := [[1, 0], [0, 1], [2, 2]]
INPUT := {"q": $(QUERIES), "k": $(KEYS), "v": $(VALUES)}
KINDS := scaled dot causal

$(OUT)/input.json:
	@mkdir -p $(OUT)
	@echo '$(INPUT)' > $@

$(OUT)/scaled.json $(OUT)/dot.json: $(OUT)/%.json: $(OUT)/input.json
	@$(LMKIT) calc attention --score $* --json $< > $@

$(OUT)/causal.json: $(OUT)/input.json
	@$(LMKIT) calc attention --causal --json $< > $@

rows = import json, sys; [print(kind, name, *(f"{number:.3f}" for number in row), " ".join(f"{number:.3f}" for number in out), sep="\t") \
  for kind in "$(KINDS)".split() for found in [json.load(open(f"$(OUT)/{kind}.json"))] \
  for name, row, out in zip("$(TOKENS)".split(), found["weights"], found["output"])]

$(OUT)/table.tsv: $(KINDS:%=$(OUT)/%.json)
	@printf 'attention\tquery of%s\toutput\n' "$$(printf '\tto %s' $(TOKENS))" > $@
	@$(PYTHON) -c '$(rows)' >> $@

$(OUT)/weights.svg: $(OUT)/table.tsv
	@awk -F '\t' -v names='$(TOKENS)' 'BEGIN { split(names, name, " ") } $$1 == "scaled" { for (i = 1; i <= 3; i++) print $$2 "\tto " name[i] "\t" $$(i + 2) }' $< \
	  | awk -F '\t' -v title='weights of scaled attention, a group for each query' -f $(EXAMPLES)bars.awk > $@

check:
	@$(LMKIT) calc attention --check $(LAB)
