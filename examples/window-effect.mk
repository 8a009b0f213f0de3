# Show the effect of the window on word vectors: under a narrow one, neighbours are words that can replace each other;
# under a wide one, words of one subject. `make -f examples/window-effect.mk CORPUS=text.txt` (default: Python's help).
#
# DOCUMENT is the number of lines about one subject: 1 for unordered sentences, more for running text.

UNIT := window-effect
OUT ?= build/window-effect
TABLES = $(OUT)/table.tsv $(OUT)/neighbours.tsv $(OUT)/analogies.tsv
FIGURES = $(OUT)/figure.svg
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
CORPUS ?= $(OUT)/docs.txt
DOCUMENT ?= $(if $(findstring $(OUT),$(CORPUS)),10,1)
WINDOWS ?= 2 10
EPOCHS ?= $(if $(filter small,$(STEPS)),2,$(if $(findstring $(OUT),$(CORPUS)),40,5))
TRAIN ?= --dim 100 --epochs $(EPOCHS) --sample 1e-3
SHOWN ?= 6

$(OUT)/neighbours.tsv: $(WINDOWS:%=$(OUT)/%.tsv)
	@{ printf 'word'; printf '\tnearest with a window of %s' $(WINDOWS); echo; \
	  paste $^ | awk -v shown=$(SHOWN) -v windows='$(WINDOWS)' -f $(EXAMPLES)window-effect-lists.awk; } > $@

# Questions as `object objects : string strings`: all pairs of words that occur eight times or more, as do their plurals.
$(OUT)/questions.txt: $(OUT)/counts.txt
	@LC_ALL=C awk '$$1 >= 8 && length($$2) > 2 { has[$$2] } END { for (word in has) if ((word "s") in has) print word, word "s" }' $< | LC_ALL=C sort \
	  | awk '{ pair[NR] = $$0 } END { print ": plurals"; for (i = 1; i <= NR; i++) for (j = 1; j <= NR; j++) if (i != j) print pair[i], pair[j] }' > $@

$(OUT)/analogies.tsv: $(WINDOWS:%=$(OUT)/%.lm) $(OUT)/questions.txt
	@printf 'window\tanalogies of plurals\tright\tshare\n' > $@
	@for window in $(WINDOWS); do $(LMKIT) w2v eval -m $(OUT)/$$window.lm $(OUT)/questions.txt \
	  | awk -F '\t' -v OFS='\t' -v window=$$window '$$1 == "total" { printf "%s\t%s\t%s\t%.3f\n", window, $$3, $$2, $$4 }'; done >> $@

# How often a neighbour shares more of its ending, and co-occurs more, than an equally frequent word.
$(OUT)/table.tsv: $(OUT)/counts.txt $(WINDOWS:%=$(OUT)/%.tsv) $(OUT)/text.txt
	@awk -v document=$(DOCUMENT) -f $(EXAMPLES)window-effect-score.awk $^ > $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' 'NR > 1 { print "same ending", "window " $$1, $$2, $$2 - $$3, $$2 + $$3; print "same subject", "window " $$1, $$4, $$4 - $$5, $$4 + $$5 }' $< \
	  | awk -F '\t' -v title='neighbours beat words as frequent (chance .5)' -f $(EXAMPLES)bars.awk > $@

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
