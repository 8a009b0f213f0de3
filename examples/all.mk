# All units with pages, and an index of them: `make -f examples/all.mk` (under an hour on two cores; needs the extra `torch`,
# and scikit-learn for captions). STEPS=small: minutes, to see that all of it runs.

LMKIT ?= lmkit
PYTHON ?= python3
OUT ?= build/all
STEPS ?=
EXAMPLES := $(dir $(lastword $(MAKEFILE_LIST)))
UNITS ?= entropy tokens window-effect neural bottleneck attention ablations layers pretraining-helps t0 three-stages \
  in-context steps scaling decoding emergence captions

.DELETE_ON_ERROR:
.PHONY: all
all: $(OUT)/index.html
	@echo "index: $<"

$(UNITS:%=$(OUT)/%/page.html): $(OUT)/%/page.html: FORCE
	@$(MAKE) --no-print-directory -f $(EXAMPLES)$*.mk page OUT=$(OUT)/$* LMKIT='$(LMKIT)' PYTHON='$(PYTHON)' $(STEPS:%=STEPS=%)

$(OUT)/index.html: $(UNITS:%=$(OUT)/%/page.html)
	@$(PYTHON) $(EXAMPLES)unit-page.py --index -o $@ $(foreach unit,$(UNITS),$(unit)=$(unit)/page.html)

.PHONY: FORCE
FORCE:
