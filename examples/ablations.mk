# What each part of a transformer is worth: `make -f examples/ablations.mk` (some minutes on two cores, offline). Needs the
# extra `torch`. The same small transformer is trained on Python's help with one part changed at a time: positions, norms,
# residual connections, attention heads, feed-forward block. The table has bits per byte of held-out text, and the
# difference to the unchanged model, with an interval over seeds.

UNIT := ablations
OUT ?= build/ablations
FIGURES = $(OUT)/figure.svg
STEPS ?= 150
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
SEEDS ?= $(if $(filter small,$(STEPS)),0 1,0 1 2)
override STEPS := $(STEPS:small=20)

CHANGES := none no-positions sinusoidal post-norm no-residual one-head gelu one-layer
none :=
no-positions := --positions none
sinusoidal := --positions sinusoidal
post-norm := --norm post
no-residual := --no-residual
one-head := --heads 1
gelu := --activation gelu
one-layer := --layers 1
RUNS := $(foreach seed,$(SEEDS),$(CHANGES:%=$(seed).%))
.SECONDARY:

$(OUT)/train.txt $(OUT)/test.txt &:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $(OUT)/docs.txt
	@awk 'NR % 20' $(OUT)/docs.txt > $(OUT)/train.txt
	@awk 'NR % 20 == 0' $(OUT)/docs.txt $(if $(filter 20,$(STEPS)),| head -n 50,) > $(OUT)/test.txt

define trained
$(OUT)/$(1).$(2).lm: $(OUT)/train.txt
	$(LMKIT) train transformer $($(2)) --steps $(STEPS) --seed $(1) $$< -o $$@ --resume
endef
$(foreach seed,$(SEEDS),$(foreach change,$(CHANGES),$(eval $(call trained,$(seed),$(change)))))

$(RUNS:%=$(OUT)/%.tsv): $(OUT)/%.tsv: $(OUT)/%.lm $(OUT)/test.txt
	@$(LMKIT) ppl -q -m $< $(OUT)/test.txt -o $@

# Differences of runs with the same seed; the interval is Student's t of 95 %, for 2 or 3 seeds.
$(OUT)/table.tsv: $(RUNS:%=$(OUT)/%.tsv)
	@awk -F '\t' -v OFS='\t' -v changes='$(CHANGES)' -v seeds='$(SEEDS)' ' \
	  FNR == 1 { for (i = 1; i <= NF; i++) at[$$i] = i; next } \
	  { name = FILENAME; sub(/.*\//, "", name); sub(/\.tsv$$/, "", name); bits[name] = $$at["bits_per_byte"] } \
	  END { n = split(seeds, seed, " "); m = split(changes, change, " "); t = n == 2 ? 12.706 : 4.303; \
	    print "changed", "bits per byte", "difference", "low", "high"; \
	    for (c = 1; c <= m; c++) { sum = mean = squares = 0; \
	      for (s = 1; s <= n; s++) { sum += bits[seed[s] "." change[c]]; gap[s] = bits[seed[s] "." change[c]] - bits[seed[s] ".none"]; mean += gap[s] / n } \
	      for (s = 1; s <= n; s++) squares += (gap[s] - mean) ^ 2; half = t * sqrt(squares / (n - 1) / n); \
	      if (c == 1) printf "%s\t%.3f\t\t\t\n", change[c], sum / n; \
	      else printf "%s\t%.3f\t%.3f\t%.3f\t%.3f\n", change[c], sum / n, mean, mean - half, mean + half } }' $^ > $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' -v OFS='\t' 'NR > 1 { print $$1, "bits per byte", $$2 }' $< | awk -F '\t' -v title='bits per byte with one part changed' -f $(EXAMPLES)bars.awk > $@
