# Measure the effect of in-context examples and of their labels, on a CPU, offline:
# `make -f examples/in-context.mk` (about a minute). Needs the extra `torch`.
#
# A transformer learns to classify words of Python's help as long (seven letters or more) or short, from lines such as
# `loop => short`. Test words do not occur in training. Min et al. (2022) found that large models are hardly worse with
# random labels. The table shows whether this one is: accuracy with correct labels (gold), random ones (random), shifted
# ones (flipped) and none (none), for 0, 1 and 4 examples, with intervals and paired differences.

UNIT := in-context
OUT ?= build/in-context
FIGURES = $(OUT)/figure.svg
STEPS ?= 100
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
SEEDS ?= 3
override STEPS := $(STEPS:small=20)
FILES := $(OUT)/train.txt $(OUT)/shots.tsv $(OUT)/dev.tsv

# Each distinct word once, shuffled; the first 200 are for prompts: 100 examples and 100 items.
$(OUT)/words.tsv:
	@mkdir -p $(OUT)
	$(LMKIT) data text python-docs | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\n' | LC_ALL=C sort -u | \
	  awk 'length >= 3 { printf "%05d\t%s\t%s\n", (7919 * NR) % 99991, $$0, (length > 6) ? "long" : "short" }' | LC_ALL=C sort | cut -f 2,3 > $@

$(FILES) &: $(OUT)/words.tsv
	head -n 100 $< > $(OUT)/shots.tsv
	head -n 200 $< | tail -n 100 > $(OUT)/dev.tsv
	tail -n +201 $< | awk -F '\t' '{ print $$1 " => " $$2 }' > $(OUT)/train.txt

$(OUT)/model.lm: $(OUT)/train.txt
	$(LMKIT) train transformer --context 128 --steps $(STEPS) $< -o $@ --resume

$(OUT)/table.tsv $(OUT)/figure.svg &: $(OUT)/shots.tsv $(OUT)/dev.tsv $(OUT)/model.lm
	$(LMKIT) prompt ablate $(OUT)/shots.tsv $(OUT)/dev.tsv -m $(OUT)/model.lm -k 0,1,4 --seeds $(SEEDS) --plot $(OUT)/figure.svg -o $(OUT)/table.tsv
