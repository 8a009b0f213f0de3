# Show the effect of the window on word vectors: under a narrow one, neighbours are words that can replace each other;
# under a wide one, words of one subject. `make -f examples/window-effect.mk CORPUS=text.txt` (default: Python's help).
#
# DOCUMENT is the number of lines about one subject: 1 for unordered sentences, more for running text.

LMKIT ?= lmkit
OUT ?= build/window-effect
CORPUS ?= $(OUT)/docs.txt
DOCUMENT ?= $(if $(findstring $(OUT),$(CORPUS)),10,1)
WINDOWS ?= 2 10
EPOCHS ?= $(if $(findstring $(OUT),$(CORPUS)),40,5)
TRAIN ?= --dim 100 --epochs $(EPOCHS) --sample 1e-3
SHOWN ?= 6

.DELETE_ON_ERROR:
.PHONY: effect
effect: $(foreach window,$(WINDOWS),$(OUT)/$(window).tsv) $(OUT)/counts.txt $(OUT)/text.txt
	@echo "== nearest words"
	@paste $(foreach window,$(WINDOWS),$(OUT)/$(window).tsv) | \
	  awk -v shown=$(SHOWN) -v windows="$(WINDOWS)" -f examples/window-effect-lists.awk
	@echo "== all $$(wc -l < $(OUT)/words.txt) words: how often a neighbour shares more of its ending, and co-occurs more, than an equally frequent word"
	@awk -v document=$(DOCUMENT) -f examples/window-effect-score.awk $(OUT)/counts.txt \
	  $(foreach window,$(WINDOWS),$(OUT)/$(window).tsv) $(OUT)/text.txt

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $@

# Lower case, letters only.
$(OUT)/text.txt: $(CORPUS)
	@mkdir -p $(OUT)
	@LC_ALL=C tr 'A-Z' 'a-z' < $(CORPUS) | LC_ALL=C tr '\001-\011\013-`{-\177' ' ' > $@

$(OUT)/counts.txt: $(OUT)/text.txt
	@LC_ALL=C tr -s ' ' '\n' < $< | grep . | LC_ALL=C sort | uniq -c | LC_ALL=C sort -k 1,1nr -k 2 > $@

# The most frequent words of at least five letters, which have an ending.
$(OUT)/words.txt: $(OUT)/counts.txt
	@LC_ALL=C awk '$$2 ~ /^[a-z][a-z][a-z][a-z][a-z]+$$/ {print $$2}' $< | head -500 > $@

$(OUT)/%.lm: $(OUT)/text.txt
	@$(LMKIT) w2v train -q --window $* $(TRAIN) $< -o $@

$(OUT)/%.tsv: $(OUT)/%.lm $(OUT)/words.txt
	@$(LMKIT) w2v similar -m $< --top 10 < $(OUT)/words.txt > $@
.PRECIOUS: $(OUT)/%.lm
