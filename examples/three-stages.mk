# The three stages of a large language model, small: pre-training, instruction tuning, preference alignment.
# `make -f examples/three-stages.mk` (some minutes on two cores, offline). Needs the extra `torch`.
#
# A script makes a world of animals (examples/three-stages.py). A transformer is pre-trained on statements about all of it,
# tuned on instructions about half of the animals, and aligned with DPO to answer in sentences instead of words. It is then
# asked about the other animals, in kinds of instructions that were tuned on (seen) and that were held out (unseen).
# Tuning shows the form of answers only: what it is asked afterwards was said in pre-training alone.
#
# The table has, for each stage: accuracy on both tests, the share of sentences, and on held-out pairs how often the
# sentence is more probable than the word, and DPO's margin over the tuned model, each with its interval; figure.svg shows
# it. `SEEDS="0 1 2"` makes three worlds.

UNIT := three-stages
OUT ?= build/three-stages
SEEDS ?= 0
FIGURES = $(SEEDS:%=$(OUT)/%/figure.svg)
STEPS ?= 700
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
SEED ?=
ANIMALS ?= $(if $(filter small,$(STEPS)),6,32)
EPOCHS ?= $(if $(filter small,$(STEPS)),1,12)
override STEPS := $(STEPS:small=20)
D = $(OUT)/$(SEED)
STAGES := base sft dpo
TESTS := seen unseen
FILES := facts.txt words.txt facts.jsonl train.jsonl seen.jsonl unseen.jsonl pairs.jsonl held-out.jsonl
MEASURED := $(foreach stage,$(STAGES),$(D)/$(stage).tsv)

ifeq ($(SEED),)
$(OUT)/table.tsv $(FIGURES) &: FORCE
	@for seed in $(SEEDS); do $(MAKE) --no-print-directory -f $(EXAMPLES)three-stages.mk seed SEED=$$seed || exit; done
	@{ printf 'seed\t'; head -n 1 $(OUT)/$(firstword $(SEEDS))/table.tsv; \
	  for seed in $(SEEDS); do tail -n +2 $(OUT)/$$seed/table.tsv | sed "s/^/$$seed\t/"; done; } > $(OUT)/table.tsv
FORCE:
else
.PHONY: seed
seed: $(D)/table.tsv $(D)/figure.svg
	@echo "== seed $(SEED): parents"
	@for stage in sft dpo; do $(LMKIT) info --json $(D)/$$stage.lm | sed 's/.*"parent": "\([0-9a-f]\{12\}\).*/'$$stage' is of \1/'; done
	@echo "== seed $(SEED): stages ($(D)/figure.svg)"
	@cat $(D)/table.tsv

$(FILES:%=$(D)/%) &:
	@mkdir -p $(D)
	$(PYTHON) $(EXAMPLES)three-stages.py $(D) $(SEED) $(ANIMALS)

$(D)/tokens.lm: $(D)/words.txt
	$(LMKIT) bpe train -q --vocab-size 400 --special '<|im_start|>' --special '<|im_end|>' $< -o $@

$(D)/base.lm: $(D)/facts.txt $(D)/tokens.lm
	$(LMKIT) train transformer --tokens $(D)/tokens.lm --width 64 --layers 2 --heads 2 --batch 16 --steps $(STEPS) --seed $(SEED) $< -o $@ --resume

$(D)/sft.lm: $(D)/base.lm $(D)/train.jsonl
	$(LMKIT) finetune instruct -m $< --template chatml $(D)/train.jsonl --lr 0.01 --epochs $(EPOCHS) --seed $(SEED) -o $@ --resume

$(D)/dpo.lm: $(D)/sft.lm $(D)/pairs.jsonl
	$(LMKIT) finetune prefer -m $< $(D)/pairs.jsonl --epochs 1 --seed $(SEED) -o $@ --resume

# Whether the facts were learned in pre-training: statements about the animals that tuning does not show.
$(D)/completed.jsonl: $(D)/base.lm $(D)/facts.jsonl
	$(LMKIT) sample -m $< --greedy --max-tokens 4 --stop . $(D)/facts.jsonl -o $@

define answered
$(D)/$(1).$(2).jsonl: $(D)/$(1).lm $(D)/$(2).jsonl
	$(LMKIT) chat -m $$< --template chatml --greedy --max-tokens 16 $(D)/$(2).jsonl -o $$@
endef
$(foreach stage,$(STAGES),$(foreach test,$(TESTS),$(eval $(call answered,$(stage),$(test)))))

# An answer is right if its last word is. Rows: stage, measure, value, low, high.
row = awk -F '\t' -v OFS='\t' -v name='$(1)' 'NR > 1 && $$1 == "$(2)" { print "$*", name, $$2, $$3, $$4 }'
$(D)/%.tsv: $(D)/%.lm $(D)/sft.lm $(D)/held-out.jsonl $(D)/%.seen.jsonl $(D)/%.unseen.jsonl $(D)/completed.jsonl
	@if [ $* = base ]; then $(LMKIT) eval answers $(D)/completed.jsonl | $(call row,facts completed,accuracy); fi > $@
	@$(LMKIT) eval answers --extract '(\w+)\W*$$' $(D)/$*.seen.jsonl | $(call row,seen,accuracy) >> $@
	@$(LMKIT) eval answers --extract '(\w+)\W*$$' $(D)/$*.unseen.jsonl | $(call row,unseen,accuracy) >> $@
	@$(LMKIT) eval instruct $(D)/$*.unseen.jsonl | $(call row,sentences,prompt_strict) >> $@
	@$(LMKIT) eval prefer -m $(D)/$*.lm --template chatml $(D)/held-out.jsonl | $(call row,preferred,accuracy) >> $@
	@if [ $* = dpo ]; then $(LMKIT) eval prefer -m $< --reference $(D)/sft.lm $(D)/held-out.jsonl | $(call row,margin,margin); fi >> $@

$(D)/table.tsv: $(MEASURED)
	@{ printf 'stage\tmeasure\tvalue\tlow\thigh\n'; cat $(MEASURED); } > $@

$(D)/figure.svg: $(D)/table.tsv
	@awk -F '\t' 'NR > 1 && $$2 != "margin"' $< | awk -F '\t' -v title='Three stages' -f $(EXAMPLES)bars.awk > $@
endif
