# Tokens: what a vocabulary costs and saves, for the text it was learned from and for another language.
# `make -f examples/tokens.mk` (half a minute, base install). Exercise: `make -f examples/tokens.mk check SIZE=N`.

UNIT := tokens
OUT ?= build/tokens
FIGURES := $(OUT)/words.svg
SIZES := 300 600 1200 2400 4800
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk

$(OUT)/train.txt $(OUT)/test.txt &:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $(OUT)/docs.txt
	@awk 'NR % 10' $(OUT)/docs.txt > $(OUT)/train.txt
	@awk 'NR % 10 == 0' $(OUT)/docs.txt > $(OUT)/test.txt

# Spanish that the tokenizers have not seen: the course's own pages of this folder.
$(OUT)/other.txt: $(wildcard $(EXAMPLES)texts/*.es.md)
	@mkdir -p $(OUT)
	@cat $^ > $@

$(SIZES:%=$(OUT)/%.lm): $(OUT)/%.lm: $(OUT)/train.txt
	@$(LMKIT) bpe train -q --vocab-size $* $< -o $@

stats = $(PYTHON) -c 'import json, sys; print(round(json.loads(sys.stdin.readline())["$(1)"], 3))'

$(OUT)/table.tsv: $(SIZES:%=$(OUT)/%.lm) $(OUT)/test.txt $(OUT)/other.txt
	@printf 'vocabulary\ttokens per word, English\tbytes per token, English\ttokens per word, Spanish\n' > $@
	@for size in $(SIZES); do printf '%s\t%s\t%s\t%s\n' $$size \
	  $$($(LMKIT) bpe stats --json -m $(OUT)/$$size.lm $(OUT)/test.txt | $(call stats,tokens_per_word)) \
	  $$($(LMKIT) bpe stats --json -m $(OUT)/$$size.lm $(OUT)/test.txt | $(call stats,bytes_per_token)) \
	  $$($(LMKIT) bpe stats --json -m $(OUT)/$$size.lm $(OUT)/other.txt | $(call stats,tokens_per_word)) >> $@; done

$(OUT)/words.svg: $(OUT)/2400.lm $(OUT)/test.txt
	@$(LMKIT) bpe stats -m $< --plot $@ $(OUT)/test.txt > $(OUT)/words.tsv

# The exercise: the smallest vocabulary of the table with which English takes fewer than 2 tokens a word.
check: $(OUT)/table.tsv
	@right=$$(awk -F '\t' 'NR > 1 && $$2 < 2 { print $$1; exit }' $<); \
	if [ "$(SIZE)" = "$$right" ]; then echo "right: $$right"; else echo "$(SIZE) is wrong; look at the second column"; exit 1; fi
