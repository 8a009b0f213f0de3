# Measure the effect of in-context examples and of their labels, on a CPU, offline:
# `make -f examples/in-context.mk` (about a minute). Needs the extra `torch`.
#
# A transformer learns to classify words of Python's help as long (seven letters or more) or short, from lines such as
# `loop => short`. Test words do not occur in training. Min et al. (2022) found that large models are hardly worse with
# random labels. The table shows whether this one is: accuracy with correct labels (gold), random ones (random), shifted
# ones (flipped) and none (none), for 0, 1 and 4 examples, with intervals and paired differences.

LMKIT ?= lmkit
OUT ?= build/in-context
STEPS ?= 100
SEEDS ?= 3
FILES := $(OUT)/train.txt $(OUT)/shots.tsv $(OUT)/dev.tsv

.PHONY: all clean
all: $(OUT)/answers.jsonl $(OUT)/ablation.tsv
	@echo "== one of the prompts"
	@head -n 1 $(OUT)/prompts.jsonl
	@echo "== accuracy of its answers"
	@$(LMKIT) eval classify $(OUT)/answers.jsonl
	@echo "== effect of labels"
	@cat $(OUT)/ablation.tsv

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

$(OUT)/prompts.jsonl: $(OUT)/shots.tsv $(OUT)/dev.tsv
	$(LMKIT) prompt few-shot -k 4 --select balanced $^ -o $@

$(OUT)/answers.jsonl: $(OUT)/prompts.jsonl $(OUT)/model.lm
	$(LMKIT) prompt answer -m $(OUT)/model.lm $< -o $@

$(OUT)/ablation.tsv: $(OUT)/shots.tsv $(OUT)/dev.tsv $(OUT)/model.lm
	$(LMKIT) prompt ablate $(OUT)/shots.tsv $(OUT)/dev.tsv -m $(OUT)/model.lm -k 0,1,4 --seeds $(SEEDS) -o $@

clean:
	rm -rf $(OUT)
