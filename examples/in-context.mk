# What examples in a prompt are worth, and whether their labels have to be right, on a CPU, offline:
# `make -f examples/in-context.mk` (about a minute). Needs the extra `torch`.
#
# The model learns to say of words of Python's help whether they are long, seven letters or more, from lines such as
# `loop => short`; the words that it is asked about are in none of them. Min et al. (2022) found large models to be hardly worse with
# labels drawn at random; whether this one is, the table says: accuracy with right labels (gold), drawn ones (random),
# each other's (flipped), and without (none), for 0, 1 and 4 examples, with intervals and paired differences.

LMKIT ?= lmkit
OUT ?= build/in-context
STEPS ?= 100
SEEDS ?= 3
FILES := $(OUT)/train.txt $(OUT)/shots.tsv $(OUT)/dev.tsv

.PHONY: all clean
all: $(OUT)/answers.jsonl $(OUT)/ablation.tsv
	@echo "== one of the prompts"
	@head -n 1 $(OUT)/prompts.jsonl
	@echo "== how its answers are judged"
	@$(LMKIT) eval classify $(OUT)/answers.jsonl
	@echo "== what labels are worth"
	@cat $(OUT)/ablation.tsv

# Every distinct word once, in an order that is no order; the first 200 for prompts, 100 to show and 100 to ask about.
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
