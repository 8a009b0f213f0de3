# Decoding: what each method makes of one model, by the diversity of its texts; the unit about examples/decoders.mk.
# `make -f examples/decoding.mk` (ten seconds, base install). Exercise: `make -f examples/decoding.mk check METHOD=NAME`.

UNIT := decoding
OUT ?= build/decoding
FIGURES := $(OUT)/figure.svg
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk

$(OUT)/table.tsv: $(EXAMPLES)decoders.mk
	@mkdir -p $(OUT)
	@$(MAKE) --no-print-directory -s -f $< OUT=$(OUT) LMKIT='$(LMKIT)' $(if $(filter small,$(STEPS)),LINES=20) > $@

column = awk -F '\t' -v name=$(1) 'NR == 1 { for (i = 1; i <= NF; i++) if ($$i == name) at = i; next } { print $$1 "\t" $$at }' $(OUT)/table.tsv

$(OUT)/figure.svg: $(OUT)/table.tsv
	@{ $(call column,distinct_2) | sed 's/\t/\tdistinct pairs\t/'; $(call column,self_bleu) | sed 's/\t/\tself-BLEU\t/'; } \
	  | awk -F '\t' -v title='texts of one model, by decoding method' -f $(EXAMPLES)bars.awk > $@

# The exercise: the method whose self-BLEU is nearest to that of the written text.
check: $(OUT)/table.tsv
	@right=$$($(call column,self_bleu) | awk -F '\t' '{ value[$$1] = $$2 } END { for (name in value) if (name != "written") { \
	  gap = value[name] - value["written"]; gap = gap < 0 ? -gap : gap; if (best == "" || gap < least) { best = name; least = gap } } print best }'); \
	if [ "$(METHOD)" = "$$right" ]; then echo "right: $$right"; else echo "$(METHOD) is not the nearest"; exit 1; fi
