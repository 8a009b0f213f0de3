# From text to perplexity and samples, offline, with the base install: `make demo`.
# The text is the prose of Python's own help, which is part of every Python installation.

LMKIT ?= lmkit
OUT ?= build/demo
SHELL := /bin/sh

define pipeline
lmkit data text python-docs -o docs.txt
awk 'NR % 10 == 0' docs.txt > heldout.txt
awk 'NR % 10' docs.txt > train.txt
lmkit ngram fit --order 5 train.txt -o model.lm
lmkit ppl -m model.lm heldout.txt
lmkit sample -m model.lm -n 5 --seed 1
lmkit ngram fit --order 2 train.txt | lmkit ppl -b heldout.txt
endef
export pipeline

.PHONY: demo
demo:
	@mkdir -p $(OUT)
	@echo "== the pipeline, run in $(OUT)"
	@echo "$$pipeline" | sed 's/^/  $$ /'
	@$(LMKIT) data text python-docs -o $(OUT)/docs.txt
	@awk 'NR % 10 == 0' $(OUT)/docs.txt > $(OUT)/heldout.txt
	@awk 'NR % 10' $(OUT)/docs.txt > $(OUT)/train.txt
	@echo "== fitting a 5-gram model to $$(wc -w < $(OUT)/train.txt) words"
	@$(LMKIT) ngram fit --order 5 $(OUT)/train.txt -o $(OUT)/model.lm
	@echo "== its perplexity on $$(wc -w < $(OUT)/heldout.txt) held-out words"
	@$(LMKIT) ppl -m $(OUT)/model.lm $(OUT)/heldout.txt | awk -F '\t' \
	  'NR == 1 { for (i = 1; i <= NF; i++) name[i] = $$i } NR == 2 { for (i = 2; i <= NF; i++) print "  " name[i] ": " $$i }'
	@echo "== five generated lines"
	@$(LMKIT) sample -m $(OUT)/model.lm -n 5 --seed 1 | sed 's/^/  /'
	@echo "== a 2-gram model, piped into ppl"
	@$(LMKIT) ngram fit --order 2 $(OUT)/train.txt | $(LMKIT) ppl -b $(OUT)/heldout.txt | sed 's/^/  perplexity: /'
	@echo "== next, a text of your own: . .venv/bin/activate; lmkit ngram fit YOUR.txt -o your.lm; lmkit info your.lm"
