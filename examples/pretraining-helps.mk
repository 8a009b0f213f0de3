# Pre-training as initialisation: `make -f examples/pretraining-helps.mk` (some minutes on two cores, offline). Needs the
# extra `torch`.
#
# An encoder is pre-trained by masked language modelling on sentences of a small English, whose verbs agree with their
# subjects. It, and one with random weights, are fine-tuned alike, with the same budget and seeds, to tell sentences from
# those whose main verb does not agree. The table has the loss and accuracy of both on development sentences, with
# intervals, and the difference of accuracies; where its interval holds 0, the verdict is `no difference shown`.

UNIT := pretraining-helps
OUT ?= build/pretraining-helps
FIGURES = $(OUT)/figure.svg
STEPS ?= 1200
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
EPOCHS ?= $(if $(filter small,$(STEPS)),1,15)
ITEMS ?= $(if $(filter small,$(STEPS)),30,400)
SEEDS ?= $(if $(filter small,$(STEPS)),0,1 2 3)
override STEPS := $(STEPS:small=20)
SHAPE := --by line --layers 2 --width 64 --heads 4 --context 32 --batch 32
STARTS := pretrained random
RUNS := $(foreach seed,$(SEEDS),$(foreach start,$(STARTS),$(OUT)/$(seed).$(start)))

.SECONDARY:

$(OUT)/task.tsv: $(EXAMPLES)pretraining-helps.awk
	@mkdir -p $(OUT)
	awk -v lines=$$((4 * $(ITEMS))) -v tsv=1 -f $< | awk -F '\t' '!($$1 in seen) && n < 2 * $(ITEMS) { seen[$$1]; n++; print }' > $@

$(OUT)/train.tsv: $(OUT)/task.tsv
	head -n $(ITEMS) $< > $@

$(OUT)/dev.tsv: $(OUT)/task.tsv
	tail -n +$$(($(ITEMS) + 1)) $< > $@

# Other sentences than those of the task.
$(OUT)/corpus.txt: $(EXAMPLES)pretraining-helps.awk $(OUT)/task.tsv
	awk -v lines=9000 -f $< | tail -n 8000 | awk -F '\t' 'NR == FNR { task[$$1]; next } !($$0 in task)' $(OUT)/task.tsv - > $@

$(OUT)/tokens.lm: $(OUT)/corpus.txt
	$(LMKIT) bpe train -q --algorithm wordpiece --vocab-size 200 $< -o $@

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
