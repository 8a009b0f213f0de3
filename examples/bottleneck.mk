# What a fixed context loses: `make -f examples/bottleneck.mk` (about two minutes on two cores; needs the extra `torch`).
# Two LSTMs learn to write sequences of letters backwards. Without attention all of a sequence must fit into the encoder's
# last state; with it the decoder looks back at each letter. The table has the share of sequences that are right, by length.
# `make -f examples/bottleneck.mk alignment` (a minute): an LSTM learns to copy; how many letters looked most at themselves.

UNIT := bottleneck
OUT ?= build/bottleneck
FIGURES = $(OUT)/figure.svg
STEPS ?= 500
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
override STEPS := $(STEPS:small=20)
MODELS := general none
BUCKETS := 1-9 10-19 20-30

.PHONY: alignment
$(OUT)/table.tsv: $(MODELS:%=$(OUT)/%.tsv)
	@{ printf 'attention'; printf '\t%s' $(BUCKETS); echo; } > $@
	@for model in $(MODELS); do printf '%s' $$model; cut -f 2 $(OUT)/$$model.tsv | while read -r share; do printf '\t%s' $$share; done; echo; done >> $@

$(OUT)/figure.svg: $(MODELS:%=$(OUT)/%.tsv)
	@for model in $(MODELS); do awk -F '\t' -v OFS='\t' -v model=$$model '{ print $$1 " letters", model == "none" ? "fixed context" : "attention", $$2 }' $(OUT)/$$model.tsv; done \
	  | awk -F '\t' -v title='sequences reversed without an error, by length' -f $(EXAMPLES)bars.awk > $@

# No sequence comes twice, so that none of the test is in training.
$(OUT)/pairs.tsv:
	@mkdir -p $(OUT)
	@awk 'BEGIN { srand(1); while (i < 21500) { n = 1 + int(rand() * 30); s = t = ""; \
	  for (j = 0; j < n; j++) { c = sprintf("%c", 97 + int(rand() * 16)); s = s (j ? " " : "") c; t = c (j ? " " : "") t }; \
	  if (!(s in seen)) { seen[s]; i++; print s "\t" t } } }' > $@

$(OUT)/train.tsv: $(OUT)/pairs.tsv
	@head -n 20000 $< > $@

$(OUT)/test.tsv: $(OUT)/pairs.tsv
	@tail -n 1500 $< > $@

$(MODELS:%=$(OUT)/%.lm): $(OUT)/%.lm: $(OUT)/train.tsv
	@$(LMKIT) train seq2seq --tokens word --width 64 --steps $(STEPS) --attention $* $< -o $@ --resume

$(MODELS:%=$(OUT)/%.txt): $(OUT)/%.txt: $(OUT)/%.lm $(OUT)/test.tsv
	@cut -f 1 $(OUT)/test.tsv | $(LMKIT) sample -m $< - -o $@

$(MODELS:%=$(OUT)/%.tsv): $(OUT)/%.tsv: $(OUT)/%.txt
	@paste $(OUT)/test.tsv $< | awk -F'\t' '{ n = split($$1, x, " "); b = n < 10 ? 1 : n < 20 ? 2 : 3; all[b]++; right[b] += $$2 == $$3 } \
	  END { split("$(BUCKETS)", name, " "); for (b = 1; b <= 3; b++) printf "%s\t%.3f\n", name[b], right[b] / all[b] }' > $@

# Copies: rows of a matrix are target tokens, columns source tokens, both without the end.
$(OUT)/copies.tsv: $(OUT)/train.tsv
	@awk -F'\t' 'length($$1) < 24 && n++ < 4000 { print $$1 "\t" $$1 }' $< > $@

$(OUT)/copy.lm: $(OUT)/copies.tsv
	@$(LMKIT) train seq2seq --tokens word --width 48 --attention dot --batch-tokens 1000 --matrix-lr 0.03 --steps 200 $< -o $@ --resume

$(OUT)/alignment.tsv: $(OUT)/copy.lm $(OUT)/test.tsv
	@awk -F'\t' 'length($$1) < 24 && n++ < 12 { print $$1 }' $(OUT)/test.tsv | while read -r text; do \
	  $(LMKIT) attention --align -q -m $< --text "$$text" --target "$$text" || exit; done > $@

alignment: $(OUT)/alignment.tsv
	@awk -F'\t' '$$1 == "token" { row = 1; columns = NF; next } \
	  row < columns - 1 { best = 2; for (c = 3; c <= NF; c++) if ($$c > $$best) best = c; all++; right += best - 1 == row; row++ } \
	  END { printf "%d of %d letters (%.3f) look most at themselves\n", right, all, right / all }' $<
