# Train on prompts of some tasks and evaluate on others, as T0 does (Sanh et al. 2022), on a CPU, offline:
# `make -f examples/t0.mk` (about a minute). Needs the extra `torch`.
#
# Three tasks about words, with yes or no as answers; each has several prompts (t0.yaml), one of which is drawn for each
# record. Two tasks are mixed for training, the third is never seen: its accuracy is zero-shot. A model of this size
# learns the tasks that it sees, and hardly more than the share of the more frequent answer of the unseen one.
# `data format --against` refuses records of evaluation tasks with status 3.

UNIT := t0
OUT ?= build/t0
FIGURES = $(OUT)/figure.svg
STEPS ?= 400
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
override STEPS := $(STEPS:small=20)
T0 := $(LMKIT) data format --style t0 --templates $(EXAMPLES)t0.yaml
TASKS := starts long ends

# The share of the more frequent answer is what an answer without reading gets.
$(OUT)/table.tsv: $(OUT)/seen.jsonl $(OUT)/unseen.jsonl $(OUT)/refused.txt
	@printf 'tasks\tmeasure\tvalue\tlow\thigh\n' > $@
	@for tasks in seen unseen; do \
	  $(LMKIT) eval classify -q $(OUT)/$$tasks.jsonl | awk -F '\t' -v OFS='\t' -v tasks=$$tasks '$$1 == "accuracy" || $$1 == "matthews" { print tasks, $$1, $$2, $$3, $$4 }'; \
	  grep -o '"gold": "[a-z]*"' $(OUT)/$$tasks.jsonl | LC_ALL=C sort | uniq -c | awk -v OFS='\t' -v tasks=$$tasks '{ n += $$1; if ($$1 > most) most = $$1 } END { printf "%s\tmore frequent answer\t%.3f\t\t\n", tasks, most / n }'; \
	done >> $@
	@printf 'unseen\texit status of training on it\t%s\t\t\n' $$(cat $(OUT)/refused.txt) >> $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' '$$2 == "accuracy" || $$2 == "more frequent answer"' $< | awk -F '\t' -v title='new words of tasks trained (seen) and not (unseen)' -f $(EXAMPLES)bars.awk > $@

# Each distinct word once, shuffled, with the answer of each task.
$(OUT)/words.tsv:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\n' | LC_ALL=C sort -u | awk 'length >= 3 { \
	  printf "%05d\t%s\t%s\t%s\t%s\n", (7919 * NR) % 99991, $$0, ($$0 ~ /^[aeiou]/) ? "yes" : "no", \
	    (length($$0) > 6) ? "yes" : "no", ($$0 ~ /[aeiou]$$/) ? "yes" : "no" }' | LC_ALL=C sort | cut -f 2- > $@

# Records of a task: the first 300 words are for evaluation.
$(foreach task,$(TASKS),$(OUT)/$(task).test.jsonl): $(OUT)/words.tsv
$(foreach task,$(TASKS),$(OUT)/$(task).jsonl): $(OUT)/words.tsv
column = $(if $(filter starts,$1),2,$(if $(filter long,$1),3,4))
records = awk -F '\t' '{ printf "{\"task\": \"$1\", \"input\": \"%s\", \"output\": \"%s\"}\n", $$1, $$$(call column,$1) }'
$(OUT)/%.test.jsonl: $(OUT)/words.tsv
	@head -n 300 $< | $(call records,$*) > $@
$(OUT)/%.jsonl: $(OUT)/words.tsv
	@tail -n +301 $< | $(call records,$*) > $@

$(OUT)/refused.txt: $(OUT)/starts.jsonl $(OUT)/ends.jsonl $(OUT)/ends.test.jsonl
	@$(T0) --against $(OUT)/ends.test.jsonl $(OUT)/starts.jsonl $(OUT)/ends.jsonl > /dev/null; echo $$? > $@

# The mixture: each task has half of the tokens.
$(OUT)/mixed.jsonl: $(OUT)/starts.jsonl $(OUT)/long.jsonl
	@$(LMKIT) data mix -q --field input --weights starts=0.5,long=0.5 $^ | $(LMKIT) data shuffle -q --input jsonl --field input -o $@

$(OUT)/train.txt: $(OUT)/mixed.jsonl $(OUT)/ends.test.jsonl
	@$(T0) --against $(OUT)/ends.test.jsonl -b $< -o $@

$(OUT)/model.lm: $(OUT)/train.txt
	@$(LMKIT) train transformer -q --by line --tokens char --context 48 --steps $(STEPS) $< -o $@

$(OUT)/seen.jsonl: $(OUT)/starts.test.jsonl $(OUT)/long.test.jsonl $(OUT)/model.lm
	@$(T0) $(filter %.jsonl,$^) | sed 's/"output"/"gold"/' | $(LMKIT) prompt answer -m $(OUT)/model.lm --labels yes,no -o $@

$(OUT)/unseen.jsonl: $(OUT)/ends.test.jsonl $(OUT)/model.lm
	@$(T0) $< | sed 's/"output"/"gold"/' | $(LMKIT) prompt answer -m $(OUT)/model.lm --labels yes,no -o $@
