# In-context learning and chains of thought by model size: `make -f examples/emergence.mk` (some minutes on two cores,
# offline). Needs the extra `torch`.
#
# Large models answer from examples in their prompt and gain from worked-out steps; small ones do not (Wei et al. 2022).
# Transformers of several sizes are trained alike on Python's help. Each is asked whether words are long (seven letters or
# more) or short: after four examples (icl), and after four that count the letters first (cot). Both answers are equally
# frequent, so chance is .5. A verdict is `above chance` only if the whole interval is above it.

UNIT := emergence
OUT ?= build/emergence
FIGURES = $(OUT)/figure.svg
STEPS ?= 300
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
WIDTHS ?= 16 48 96
ITEMS ?= $(if $(filter small,$(STEPS)),6,100)
override STEPS := $(STEPS:small=20)
ROWS := $(WIDTHS:%=$(OUT)/%.tsv)

.SECONDARY:

# Long and short words in turn, shuffled; the first four are examples, in two forms.
$(OUT)/words.tsv:
	@mkdir -p $(OUT)
	$(LMKIT) data text python-docs | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\n' | LC_ALL=C sort -u | \
	  awk 'length >= 3 { printf "%05d\t%s\t%s\n", (7919 * NR) % 99991, $$0, (length > 6) ? "long" : "short" }' | LC_ALL=C sort | \
	  awk -F '\t' -v OFS='\t' '{ word[$$3, ++n[$$3]] = $$2 } END { for (i = 1; i <= n["long"] && i <= n["short"]; i++) { print word["long", i], "long"; print word["short", i], "short" } }' > $@

$(OUT)/train.txt:
	@mkdir -p $(OUT)
	$(LMKIT) data text python-docs -o $@

$(OUT)/shots.tsv: $(OUT)/words.tsv
	head -n 4 $< > $@

$(OUT)/steps.jsonl: $(OUT)/shots.tsv
	awk -F '\t' '{ s = $$1; gsub(/./, "& ", s); printf "{\"question\": \"%s\", \"reasoning\": \"%sis %d letters.\", \"answer\": \"%s\"}\n", $$1, s, length($$1), $$2 }' $< > $@

$(OUT)/items.tsv: $(OUT)/words.tsv
	tail -n +5 $< | head -n $(ITEMS) > $@

$(OUT)/%.lm: $(OUT)/train.txt
	$(LMKIT) train transformer --width $* --heads 2 --context 384 --batch 3 --steps $(STEPS) $< -o $@ --resume

$(OUT)/icl.jsonl: $(OUT)/shots.tsv $(OUT)/items.tsv
	$(LMKIT) prompt few-shot -k 4 $^ -o $@

$(OUT)/cot.jsonl: $(OUT)/steps.jsonl $(OUT)/items.tsv
	cut -f 1 $(OUT)/items.tsv | $(LMKIT) prompt cot -k 4 $< -o $@

$(OUT)/gold.txt: $(OUT)/items.tsv
	cut -f 2 $< > $@

$(OUT)/%.icl.jsonl: $(OUT)/%.lm $(OUT)/icl.jsonl
	$(LMKIT) prompt answer -m $< --labels long,short --norm pmi $(OUT)/icl.jsonl -o $@

$(OUT)/%.cot.jsonl: $(OUT)/%.lm $(OUT)/cot.jsonl
	$(LMKIT) sample -m $< --window --greedy --max-tokens 60 $(OUT)/cot.jsonl -o $@

$(OUT)/%.tsv: $(OUT)/%.icl.jsonl $(OUT)/%.cot.jsonl $(OUT)/gold.txt
	@$(LMKIT) eval classify -q --gold $(OUT)/gold.txt $(OUT)/$*.icl.jsonl > $@.icl
	@$(LMKIT) eval answers -q --extract 'The answer is (\w+)' --gold $(OUT)/gold.txt $(OUT)/$*.cot.jsonl > $@.cot
	@for kind in icl cot; do awk -F '\t' -v OFS='\t' -v kind=$$kind '$$1 == "accuracy" { \
	  print "width $*", kind, $$2, $$3, $$4, ($$3 != "" && $$3 > 0.5) ? "above chance" : "not above chance" }' $@.$$kind; done > $@; rm $@.icl $@.cot

$(OUT)/table.tsv: $(ROWS)
	@{ printf 'model\tmethod\taccuracy\tlow\thigh\tverdict\n'; cat $(ROWS); } > $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@tail -n +2 $< | awk -F '\t' -v title='Accuracy by model size (chance .5)' -f $(EXAMPLES)bars.awk > $@
