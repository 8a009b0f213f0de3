# How large a model for how much compute: `make -f examples/scaling.mk` (two minutes on two cores, offline). Needs the
# extra `torch`. Transformers of several sizes are trained with several budgets of FLOPs on Python's help; each budget has
# its valley, whose lowest point is the size to choose; over budgets those points follow a power law.

UNIT := scaling
OUT ?= build/scaling
TABLES = $(OUT)/table.tsv $(OUT)/checks.tsv
FIGURES = $(OUT)/valleys.svg
STEPS ?= full
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
BUDGETS ?= $(if $(filter small,$(STEPS)),2e8$(comma)4e8,2e9$(comma)4e9$(comma)1e10)
comma := ,
WIDTHS ?= $(if $(filter small,$(STEPS)),8$(comma)16$(comma)24,8$(comma)16$(comma)24$(comma)32$(comma)48)

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $@

$(OUT)/runs.csv: $(OUT)/docs.txt
	$(LMKIT) scaling run --budgets $(BUDGETS) --widths $(WIDTHS) --resume $< -o $@

$(OUT)/table.tsv $(OUT)/valleys.svg &: $(OUT)/runs.csv
	$(LMKIT) scaling isoflop --outliers keep --plot $(OUT)/valleys.svg $< -o $(OUT)/table.tsv

# What large models had, in tokens per parameter.
$(OUT)/checks.tsv:
	@mkdir -p $(OUT)
	@$(LMKIT) scaling check -o $@
