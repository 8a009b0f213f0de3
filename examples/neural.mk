# Compare neural language models with an n-gram model, on a CPU, offline: `make -f examples/neural.mk` (about two minutes).
# Needs the extra `torch`. The text is the prose of Python's own help; tokens are characters.

UNIT := neural
OUT ?= build/neural
TABLES = $(OUT)/table.tsv $(OUT)/gradients.tsv
FIGURES = $(OUT)/bits.svg $(OUT)/gradients.svg
STEPS ?= 300
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
override STEPS := $(STEPS:small=20)
TEXTS := $(OUT)/train.txt $(OUT)/dev.txt $(OUT)/test.txt

MODELS := ngram ffn lstm transformer
CELLS := elman lstm

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	$(LMKIT) data text python-docs -o $@

# The last twentieth is the test set; the one before tunes the weights of the mixture.
$(TEXTS) &: $(OUT)/docs.txt
	lines=$$(wc -l < $<); part=$$((lines / 20)); \
	head -n $$((lines - 2 * part)) $< > $(OUT)/train.txt; \
	tail -n $$((2 * part)) $< | head -n $$part > $(OUT)/dev.txt; \
	tail -n $$part $< > $(OUT)/test.txt

$(OUT)/ngram.lm: $(OUT)/train.txt
	$(LMKIT) ngram fit --tokens char --order 6 $< -o $@

$(OUT)/ffn.lm: $(OUT)/train.txt
	$(LMKIT) train ffn --context 8 --steps $(STEPS) $< -o $@ --resume

$(CELLS:%=$(OUT)/%.lm): $(OUT)/%.lm: $(OUT)/train.txt
	$(LMKIT) train rnn --cell $* --steps $(STEPS) $< -o $@ --resume

$(OUT)/transformer.lm: $(OUT)/train.txt
	$(LMKIT) train transformer --steps $(STEPS) $< -o $@ --resume

# The last row is the mixture of all, with the weights that suit the development text best.
$(OUT)/perplexities.tsv: $(MODELS:%=$(OUT)/%.lm) $(TEXTS)
	$(LMKIT) ppl $(MODELS:%=-m $(OUT)/%.lm) --mix auto --mix-text $(OUT)/dev.txt $(OUT)/test.txt -o $@

$(OUT)/table.tsv: $(OUT)/perplexities.tsv
	@awk -F '\t' -v OFS='\t' -v names='$(MODELS) mixture' 'BEGIN { split(names, name, " ") } \
	  NR == 1 { for (i = 1; i <= NF; i++) at[$$i] = i; print "model", "perplexity of characters", "bits per byte"; next } \
	  { printf "%s\t%.3f\t%.3f\n", name[NR - 1], $$at["perplexity"], $$at["bits_per_byte"] }' $< > $@

$(OUT)/bits.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' 'NR > 1 { print $$1, "bits per byte", $$3 }' $< | awk -F '\t' -v title='bits per byte of text that no model was trained on' -f $(EXAMPLES)bars.awk > $@

# How much the loss of a token changes with what was read before it; relative to the token next to it.
$(OUT)/gradients.tsv: $(CELLS:%=$(OUT)/%.lm) $(OUT)/dev.txt
	@printf 'cell\ttokens back\tgradient norm\n' > $@
	@for cell in $(CELLS); do $(LMKIT) info --gradients --distance 30 --text $(OUT)/dev.txt $(OUT)/$$cell.lm \
	  | awk -F '\t' -v OFS='\t' -v cell=$$cell '$$1 == "embedding" && $$2 % 5 == 0 { print cell, $$2, $$4 }'; done >> $@

$(OUT)/gradients.svg: $(OUT)/gradients.tsv
	@awk -F '\t' -v OFS='\t' 'NR > 1 && $$2 { print $$2 " back", $$1, $$3 }' $< \
	  | awk -F '\t' -v title='gradient of a loss by distance, relative to distance 0' -f $(EXAMPLES)bars.awk > $@

# The exercise: where the gradient of Elman's network is less than half of the LSTM's for the first time.
check: $(OUT)/gradients.tsv
	@right=$$(awk -F '\t' '$$1 == "elman" { elman[$$2] = $$3 } $$1 == "lstm" && $$2 > 0 && elman[$$2] < $$3 / 2 { print $$2; exit }' $<); \
	if [ "$(DISTANCE)" = "$$right" ]; then echo "right: $$right"; else echo "$(DISTANCE) is wrong; look at both networks"; exit 1; fi
