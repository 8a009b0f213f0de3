# Which layers matter in fine-tuning: `make -f examples/layers.mk` (some minutes on two cores, offline). Needs the extra
# `torch`.
#
# An encoder is pre-trained by masked language modelling on Python's help, and fine-tuned with one set of layers after another
# free and all other tensors frozen: the head alone, each layer, the lower and the upper half, all. The task is to tell lines
# from lines some of whose words are exchanged; its lines are not among those of pre-training. The table has one row a set:
# the trained parameters, and the accuracy on development lines with its interval, beside a bag of n-grams. Sets whose
# intervals overlap are not shown to differ.

UNIT := layers
OUT ?= build/layers
FIGURES = $(OUT)/figure.svg
STEPS ?= 400
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
EPOCHS ?= $(if $(filter small,$(STEPS)),1,4)
ITEMS ?= $(if $(filter small,$(STEPS)),30,400)
override STEPS := $(STEPS:small=20)
SEED ?= 0
SETS ?= head layers=0 layers=1 layers=2 layers=3 layers=0-1 layers=2-3 all
SHAPE := --layers 4 --width 96 --heads 4 --context 64
RUNS := bag $(subst =,-,$(SETS))

.SECONDARY:

$(OUT)/lines.txt:
	@mkdir -p $(OUT)
	$(LMKIT) data text python-docs | awk 'NF >= 8' | $(LMKIT) data shuffle --seed 1 > $@

# Every second line of the task has words 2 and 3, 4 and 5, 6 and 7 exchanged.
$(OUT)/task.tsv: $(OUT)/lines.txt
	head -n $$((2 * $(ITEMS))) $< | tr '\t' ' ' | awk -v OFS='\t' '{ line = $$1; n = (NF < 12) ? NF : 12; \
	  for (i = 2; i <= n; i++) { j = i; if (NR % 2 && i <= 7) j = (i % 2) ? i - 1 : i + 1; line = line " " $$j } print line, (NR % 2) ? "exchanged" : "natural" }' > $@

$(OUT)/train.tsv: $(OUT)/task.tsv
	head -n $(ITEMS) $< > $@

$(OUT)/dev.tsv: $(OUT)/task.tsv
	tail -n +$$(($(ITEMS) + 1)) $< > $@

$(OUT)/corpus.txt: $(OUT)/lines.txt
	tail -n +$$((2 * $(ITEMS) + 1)) $< > $@

$(OUT)/tokens.lm: $(OUT)/corpus.txt
	$(LMKIT) bpe train -q --algorithm wordpiece --vocab-size 1500 $< -o $@

$(OUT)/encoder.lm: $(OUT)/corpus.txt $(OUT)/tokens.lm
	$(LMKIT) train encoder --tokens $(OUT)/tokens.lm $(SHAPE) --steps $(STEPS) $< -o $@ --resume

$(OUT)/bag.lm: $(OUT)/train.tsv
	$(LMKIT) finetune classify $< -o $@

define tuned
$(OUT)/$(subst =,-,$(1)).lm: $(OUT)/encoder.lm $(OUT)/train.tsv
	$(LMKIT) finetune classify -m $$< --train $(1) --pooling mean $(OUT)/train.tsv --epochs $(EPOCHS) --seed $(SEED) -o $$@ 2> $$@.log
	@cat $$@.log >&2
endef
$(foreach set,$(SETS),$(eval $(call tuned,$(set))))

$(OUT)/%.txt: $(OUT)/%.lm $(OUT)/dev.tsv
	cut -f 1 $(OUT)/dev.tsv | $(LMKIT) predict -q -b -m $< > $@

$(OUT)/gold.txt: $(OUT)/dev.tsv
	cut -f 2 $< > $@

# `... : 1,234 of 5,678 parameters train (head)` is what a run says of itself.
$(OUT)/table.tsv: $(RUNS:%=$(OUT)/%.txt) $(OUT)/gold.txt
	@printf 'trained\tparameters\taccuracy\tlow\thigh\n' > $@
	@for set in $(RUNS); do \
	  parameters=$$(sed -n 's/.*: \([0-9,]*\) of [0-9,]* parameters train.*/\1/p' $(OUT)/$$set.lm.log 2> /dev/null | tr -d ,); \
	  $(LMKIT) eval classify -q --gold $(OUT)/gold.txt $(OUT)/$$set.txt | awk -F '\t' -v OFS='\t' -v set=$$set -v parameters=$$parameters '$$1 == "accuracy" { print set, parameters, $$2, $$3, $$4 }'; \
	done >> $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' 'NR > 1 { print $$1, "accuracy", $$3, $$4, $$5 }' $< | awk -F '\t' -v title='Accuracy by the layers that train' -f $(EXAMPLES)bars.awk > $@
