# Why a model should think aloud: `make -f examples/steps.mk` (some minutes on two cores, offline). Needs the extra `torch`.
#
# Strings of a and b, and whether they have an odd number of b. A small transformer learns to say so at once (`direct`);
# another of the same size, from as many strings, learns to write the parity after each letter first (`steps`). The table
# has the share of new strings answered right by length, within the trained lengths; for the second also when the majority
# of ten sampled texts decides (`self-consistency`; Wang et al. 2023) and when a beam of steps is searched (`tree`).

UNIT := steps
OUT ?= build/steps
FIGURES = $(OUT)/figure.svg
STEPS ?= 400
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
ITEMS ?= $(if $(filter small,$(STEPS)),20,300)
override STEPS := $(STEPS:small=20)
KINDS := direct steps
BUCKETS := 1-4 5-8 9-12
METHODS := direct steps self-consistency tree

# A string of a line, then `direct` and `steps` as they are trained, and the answer.
$(OUT)/strings.tsv:
	@mkdir -p $(OUT)
	@awk 'BEGIN { srand(3); for (i = 0; i < 8000; i++) { n = 1 + int(rand() * 12); s = t = ""; odd = 0; \
	  for (j = 0; j < n; j++) { c = rand() < .5 ? "a" : "b"; odd = (odd + (c == "b")) % 2; s = s c; t = t c (odd ? "1" : "0") " " } \
	  if (s in seen) continue; seen[s]; print s "\t" s "=" (odd ? "odd" : "even") "\t" s "=" t (odd ? "odd" : "even") "\t" (odd ? "odd" : "even") } }' > $@

$(OUT)/test.tsv: $(OUT)/strings.tsv
	@head -n $(ITEMS) $< > $@

$(OUT)/direct.txt $(OUT)/steps.txt &: $(OUT)/strings.tsv
	@tail -n +301 $< | cut -f 2 > $(OUT)/direct.txt
	@tail -n +301 $< | cut -f 3 > $(OUT)/steps.txt

$(KINDS:%=$(OUT)/%.lm): $(OUT)/%.lm: $(OUT)/%.txt
	$(LMKIT) train transformer --by line --context 64 --batch 32 --steps $(STEPS) $< -o $@ --resume

$(OUT)/prompts.jsonl: $(OUT)/test.tsv
	@sed 's/\t.*/="}/; s/^/{"prompt": "/' $< > $@

# The last word of a text is its answer.
last = $(PYTHON) -c 'import json, sys; [print(json.loads(line)["text"].rpartition(" ")[2]) for line in sys.stdin]'
answer = $(PYTHON) -c 'import json, sys; [print(json.loads(line)["answer"] or "") for line in sys.stdin]'

$(KINDS:%=$(OUT)/%.answers): $(OUT)/%.answers: $(OUT)/%.lm $(OUT)/prompts.jsonl
	@$(LMKIT) sample -q -m $< --greedy --max-tokens 60 $(OUT)/prompts.jsonl | $(last) > $@

$(OUT)/self-consistency.answers: $(OUT)/steps.lm $(OUT)/prompts.jsonl
	@$(LMKIT) prompt tree -q -m $< --self-consistency 10 -t 1 --max-tokens 60 --extract '(\w*)$$' $(OUT)/prompts.jsonl | $(answer) > $@

# A thought is a letter and the parity after it.
$(OUT)/tree.answers: $(OUT)/steps.lm $(OUT)/prompts.jsonl
	@$(LMKIT) prompt tree -q -m $< --breadth 3 --depth 14 --stop ' ' $(OUT)/prompts.jsonl | $(last) > $@

$(OUT)/table.tsv: $(METHODS:%=$(OUT)/%.answers) $(OUT)/test.tsv
	@{ printf 'method'; printf '\t%s' $(BUCKETS); echo; } > $@
	@for method in $(METHODS); do cut -f 1,4 $(OUT)/test.tsv | paste - $(OUT)/$$method.answers | awk -F '\t' -v method=$$method ' \
	  { b = int((length($$1) + 3) / 4); all[b]++; right[b] += $$2 == $$3 } \
	  END { printf "%s", method; for (b = 1; b <= 3; b++) printf "\t%.3f", all[b] ? right[b] / all[b] : 0; print "" }'; done >> $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' -v names='$(BUCKETS)' 'BEGIN { split(names, name, " ") } NR > 1 { for (b = 1; b <= 3; b++) print name[b] " letters", $$1, $$(b + 1) }' $< \
	  | awk -F '\t' -v title='right by length of the string (chance .5)' -f $(EXAMPLES)bars.awk > $@
