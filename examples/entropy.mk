# Entropy and n-grams: how much the symbols before say of the next one, and where a model of counts stops gaining.
# `make -f examples/entropy.mk` (ten seconds, base install). Exercise: `make -f examples/entropy.mk check ORDER=K`.

UNIT := entropy
OUT ?= build/entropy
FIGURES := $(OUT)/coverage.svg
ORDERS := 1 2 3 4 5 6 7
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk

$(OUT)/train.txt $(OUT)/test.txt &:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $(OUT)/docs.txt
	@awk 'NR % 10' $(OUT)/docs.txt $(if $(filter small,$(STEPS)),| head -n 2000,) > $(OUT)/train.txt
	@awk 'NR % 10 == 0' $(OUT)/docs.txt $(if $(filter small,$(STEPS)),| head -n 200,) > $(OUT)/test.txt

$(ORDERS:%=$(OUT)/%.lm): $(OUT)/%.lm: $(OUT)/train.txt
	@$(LMKIT) ngram fit -q --tokens char --order $* $< -o $@

$(OUT)/table.tsv: $(ORDERS:%=$(OUT)/%.lm) $(OUT)/test.txt
	@printf 'symbols before\tentropy of the test text, bits\tcross-entropy under the training text, bits\n' > $@
	@for order in $(ORDERS); do printf '%s\t%.3f\t%.3f\n' $$((order - 1)) \
	  $$($(LMKIT) entropy -q -b --unit-of char --order $$((order - 1)) $(OUT)/test.txt) \
	  $$($(LMKIT) ppl --json -m $(OUT)/$$order.lm $(OUT)/test.txt | $(PYTHON) -c 'import json, sys; print([json.loads(line) for line in sys.stdin][-1]["bits_per_character"])') >> $@; done

$(OUT)/coverage.svg: $(OUT)/train.txt $(OUT)/test.txt
	@$(LMKIT) ngram coverage --tokens char --plot $@ $(OUT)/train.txt $(OUT)/test.txt > $(OUT)/coverage.tsv

# The exercise: the number of symbols before after which the test text itself has less than half of the model's entropy.
check: $(OUT)/table.tsv
	@right=$$(awk -F '\t' 'NR > 1 && $$2 < $$3 / 2 { print $$1; exit }' $<); \
	if [ "$(ORDER)" = "$$right" ]; then echo "right: $$right"; else echo "$(ORDER) is wrong; look at both columns"; exit 1; fi
