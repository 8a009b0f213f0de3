# Compare decoding methods by the diversity of their texts: `make -f examples/decoders.mk` (about ten seconds, base install).
# A word 3-gram model generates 100 lines with each method; 100 lines of its training text are the reference.
# Greedy decoding and low temperatures repeat themselves (rep) and each other (self_bleu); high ones are incoherent.

LMKIT ?= lmkit
OUT ?= build/decoders
LINES ?= 100
DECODERS := greedy t-0.3 t-0.5 t-1 t-1.5 top-k-10 top-p-0.9
OPTIONS_greedy := --greedy
OPTIONS_t-0.3 := -t 0.3
OPTIONS_t-0.5 := -t 0.5
OPTIONS_t-1 := -t 1
OPTIONS_t-1.5 := -t 1.5
OPTIONS_top-k-10 := --top-k 10
OPTIONS_top-p-0.9 := --top-p 0.9
TEXTS := $(foreach decoder,$(DECODERS),$(OUT)/$(decoder).txt) $(OUT)/written.txt

.DELETE_ON_ERROR:
.PHONY: table
table: $(TEXTS)
	@$(LMKIT) eval text $(TEXTS) | sed '$$d; s|^$(OUT)/||; s|\.txt||' | cut -f 1,5-8,10,11,14-17

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $@

$(OUT)/model.lm: $(OUT)/docs.txt
	@$(LMKIT) ngram fit -q --order 3 $< -o $@

$(OUT)/written.txt: $(OUT)/docs.txt
	@awk -v every=$$(($$(wc -l < $<) / $(LINES))) 'NR % every == 0 && n++ < $(LINES)' $< > $@

$(DECODERS:%=$(OUT)/%.txt): $(OUT)/%.txt: $(OUT)/model.lm
	@$(LMKIT) sample -m $< -n $(LINES) --max-tokens 200 $(OPTIONS_$*) -o $@
