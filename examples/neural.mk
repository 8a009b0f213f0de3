# Compare neural language models with an n-gram model, on a CPU, offline: `make -f examples/neural.mk` (about two minutes).
# Needs the extra `torch`. The text is the prose of Python's own help; tokens are characters.

LMKIT ?= lmkit
OUT ?= build/neural
STEPS ?= 300
TEXTS := $(OUT)/train.txt $(OUT)/dev.txt $(OUT)/test.txt

.PHONY: all clean
all: $(OUT)/perplexities.tsv
	@echo "== bits per byte of held-out text"
	@cut -f 1,11 $<
	@echo "== a sample of the LSTM"
	@$(LMKIT) sample -m $(OUT)/lstm.lm --max-tokens 300 --seed 1 -t 0.8

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

$(OUT)/lstm.lm: $(OUT)/train.txt
	$(LMKIT) train rnn --cell lstm --steps $(STEPS) $< -o $@ --resume

$(OUT)/transformer.lm: $(OUT)/train.txt
	$(LMKIT) train transformer --steps $(STEPS) $< -o $@ --resume

$(OUT)/perplexities.tsv: $(OUT)/ngram.lm $(OUT)/ffn.lm $(OUT)/lstm.lm $(OUT)/transformer.lm $(TEXTS)
	$(LMKIT) ppl -m $(OUT)/ngram.lm -m $(OUT)/ffn.lm -m $(OUT)/lstm.lm -m $(OUT)/transformer.lm \
	  --mix auto --mix-text $(OUT)/dev.txt $(OUT)/test.txt -o $@

clean:
	rm -rf $(OUT)
