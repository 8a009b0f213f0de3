# Evaluate a checkpoint intrinsically, by perplexity, and extrinsically, by accuracy at a task.
# Offline, with the base install: `make -f examples/evaluation.mk`, or with MODEL=your.lm for your own model.
#
# The task: choose `a` or `an` between two words of held-out text. The model with the lower perplexity is not always
# better at a task. `make -f examples/evaluation.mk ORDER=1` shows how far both can fall.

LMKIT ?= lmkit
OUT ?= build/evaluation
ORDER ?= 3
MODEL ?= $(OUT)/model.$(ORDER).lm

.DELETE_ON_ERROR:
.PHONY: evaluation
evaluation: $(MODEL) $(OUT)/test.txt $(OUT)/prompts.jsonl
	@echo "== intrinsic: perplexity of $(MODEL)"
	@$(LMKIT) ppl -m $(MODEL) $(OUT)/test.txt | cut -f 1-3,11
	@echo "== extrinsic: accuracy of choices between a and an"
	@$(LMKIT) prompt answer -m $(MODEL) --labels a,an $(OUT)/prompts.jsonl | $(LMKIT) eval classify

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $@

$(OUT)/train.txt: $(OUT)/docs.txt
	@awk 'NR % 10' $< > $@

$(OUT)/test.txt: $(OUT)/docs.txt
	@awk 'NR % 10 == 0' $< > $@

$(OUT)/prompts.jsonl: $(OUT)/test.txt
	@awk '{ for (i = 2; i < NF; i++) if (($$i == "a" || $$i == "an") && $$(i - 1) $$(i + 1) ~ /^[A-Za-z]+$$/) \
	  printf "{\"prompt\": \"%s [Z] %s\", \"gold\": \"%s\"}\n", $$(i - 1), $$(i + 1), $$i }' $< > $@

$(OUT)/model.$(ORDER).lm: $(OUT)/train.txt
	@$(LMKIT) ngram fit -q --order $(ORDER) $< -o $@
