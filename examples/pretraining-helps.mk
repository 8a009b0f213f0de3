# Pre-training as initialisation: `make -f examples/pretraining-helps.mk` (some minutes on two cores, offline). Needs the
# extra `torch`.
#
# An encoder is pre-trained by masked language modelling on Python's help. It, and one with its random weights of before,
# are fine-tuned alike, with the same budget and seeds, to tell lines from lines some of whose words are exchanged. Lines of
# the task are not among those of pre-training. The table has the loss and accuracy of both on development lines, with
# intervals, and the difference of accuracies; where its interval holds 0, the verdict is `no difference shown`.

UNIT := pretraining-helps
OUT ?= build/pretraining-helps
FIGURES = $(OUT)/figure.svg
STEPS ?= 400
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
EPOCHS ?= $(if $(filter small,$(STEPS)),1,4)
ITEMS ?= $(if $(filter small,$(STEPS)),30,400)
SEEDS ?= $(if $(filter small,$(STEPS)),0,0 1 2)
override STEPS := $(STEPS:small=20)
SHAPE := --layers 2 --width 96 --heads 4 --context 64
STARTS := pretrained random
RUNS := $(foreach seed,$(SEEDS),$(foreach start,$(STARTS),$(OUT)/$(seed).$(start)))

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

$(OUT)/pretrained.lm: $(OUT)/corpus.txt $(OUT)/tokens.lm
	$(LMKIT) train encoder --tokens $(OUT)/tokens.lm $(SHAPE) --steps $(STEPS) $< -o $@ --resume

# A step at the learning rate 0 leaves the weights as they are drawn.
$(OUT)/random.lm: $(OUT)/corpus.txt $(OUT)/tokens.lm
	$(LMKIT) train encoder --tokens $(OUT)/tokens.lm $(SHAPE) --steps 1 --lr 0 --matrix-lr 0 $< -o $@ --resume

define tuned
$(OUT)/$(1).$(2).lm: $(OUT)/$(2).lm $(OUT)/train.tsv $(OUT)/dev.tsv
	$(LMKIT) finetune classify -m $$< $(OUT)/train.tsv --valid $(OUT)/dev.tsv --epochs $(EPOCHS) --seed $(1) --log $(OUT)/$(1).$(2).log -o $$@
$(OUT)/$(1).$(2).txt: $(OUT)/$(1).$(2).lm $(OUT)/dev.tsv
	cut -f 1 $(OUT)/dev.tsv | $(LMKIT) predict -b -m $$< > $$@
endef
$(foreach seed,$(SEEDS),$(foreach start,$(STARTS),$(eval $(call tuned,$(seed),$(start)))))

$(OUT)/gold.txt: $(OUT)/dev.tsv
	cut -f 2 $< > $@

# The best loss of an epoch, as the log has it; then accuracy and its interval.
$(OUT)/table.tsv: $(RUNS:%=%.txt) $(OUT)/gold.txt
	@printf 'seed\tmeasure\tvalue\tlow\thigh\tverdict\n' > $@
	@for seed in $(SEEDS); do \
	  for start in $(STARTS); do \
	    sed -n 's/.*"event": "evaluation".*"loss": \([0-9.e-]*\).*/\1/p' $(OUT)/$$seed.$$start.log | LC_ALL=C sort -g | head -n 1 | awk -v OFS='\t' -v seed=$$seed -v start=$$start '{ print seed, start " loss", $$1, "", "", "" }'; \
	    $(LMKIT) eval classify -q --gold $(OUT)/gold.txt $(OUT)/$$seed.$$start.txt | awk -F '\t' -v OFS='\t' -v seed=$$seed -v start=$$start '$$1 == "accuracy" { print seed, start " accuracy", $$2, $$3, $$4, "" }'; \
	  done; \
	  $(LMKIT) eval classify -q --gold $(OUT)/gold.txt $(OUT)/$$seed.pretrained.txt --against $(OUT)/$$seed.random.txt | \
	    awk -F '\t' -v OFS='\t' -v seed=$$seed 'NR == 1 { for (i = 1; i <= NF; i++) at[$$i] = i } $$1 == "accuracy" { low = $$at["difference_low"]; high = $$at["difference_high"]; \
	      print seed, "difference", $$at["difference"], low, high, (low != "" && low > 0) ? "pre-training helps" : (high != "" && high < 0) ? "pre-training hurts" : "no difference shown" }'; \
	done >> $@
	@awk -F '\t' -v OFS='\t' '$$2 == "pretrained loss" { own[$$1] = $$3 } $$2 == "random loss" { n++; lower += own[$$1] < $$3 } \
	  END { print "all", "lower loss", lower "/" n, "", "", (lower == n) ? "lower with every seed" : "not lower with every seed" }' $@ > $@.last; cat $@.last >> $@; rm $@.last

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' '$$2 ~ / accuracy$$/ { sub(/ accuracy/, "", $$2); print "seed " $$1, $$2, $$3, $$4, $$5 }' $< | awk -F '\t' -v title='Accuracy of fine-tuned encoders' -f $(EXAMPLES)bars.awk > $@
