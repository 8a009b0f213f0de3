# Compare four units of language on one text: entropies per token are not comparable, bits per byte are.
# Offline, with the base install: make -f examples/units.mk

LMKIT ?= lmkit
OUT ?= build/units
ORDER_word := 3
ORDER_char := 7
ORDER_byte := 7
ORDER_bpe := 4

.PHONY: units
units: $(OUT)/train.txt $(foreach unit,word char byte bpe,$(OUT)/$(unit).lm)
	@echo "== compressors, on held-out text"
	@$(LMKIT) entropy --compare gzip,bz2,xz $(OUT)/heldout.txt
	@echo "== n-gram models over words, characters, bytes and subwords (only words have an unknown token)"
	@$(LMKIT) ppl -q $(foreach unit,word char byte bpe,-m $(OUT)/$(unit).lm) $(OUT)/heldout.txt | cut -f 1,3,5,6,11
	@echo "== the text compressed with the subword model"
	@$(LMKIT) compress -m $(OUT)/bpe.lm $(OUT)/heldout.txt -o $(OUT)/heldout.lmz
	@$(LMKIT) decompress -q -m $(OUT)/bpe.lm $(OUT)/heldout.lmz | cmp - $(OUT)/heldout.txt

$(OUT)/train.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $(OUT)/docs.txt
	@awk 'NR % 40 == 0' $(OUT)/docs.txt > $(OUT)/heldout.txt
	@awk 'NR % 40' $(OUT)/docs.txt > $@

$(OUT)/subwords.lm: $(OUT)/train.txt
	@$(LMKIT) bpe train --vocab-size 2000 $< -o $@

$(OUT)/bpe.lm: $(OUT)/train.txt $(OUT)/subwords.lm
	@$(LMKIT) ngram fit -q --order $(ORDER_bpe) --tokens $(OUT)/subwords.lm $< -o $@

$(OUT)/word.lm $(OUT)/char.lm $(OUT)/byte.lm: $(OUT)/%.lm: $(OUT)/train.txt
	@$(LMKIT) ngram fit -q --order $(ORDER_$*) --tokens $* $< -o $@
