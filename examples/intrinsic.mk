# Compare orders and smoothing methods on one text: `make -f examples/intrinsic.mk TRAIN=a.txt TEST=b.txt`.
# Without TRAIN and TEST: Python's own help, one line in ten for testing.

LMKIT ?= lmkit
OUT ?= build/intrinsic
ORDERS ?= 1 2 3 5
SMOOTHINGS ?= modified-kneser-ney witten-bell katz jelinek-mercer
TRAIN ?= $(OUT)/train.txt
TEST ?= $(OUT)/test.txt
MODELS := $(foreach s,$(SMOOTHINGS),$(foreach o,$(ORDERS),$(OUT)/$(s).$(o).lm))

.DELETE_ON_ERROR:
.PHONY: table
table: $(MODELS) $(TEST)
	@$(LMKIT) ppl $(foreach model,$(MODELS),-m $(model)) $(TEST) | cut -f 1,3,4,6,11

$(OUT)/docs.txt:
	@mkdir -p $(OUT)
	@$(LMKIT) data text python-docs -o $@

$(OUT)/train.txt: $(OUT)/docs.txt
	@awk 'NR % 10' $< > $@

$(OUT)/test.txt: $(OUT)/docs.txt
	@awk 'NR % 10 == 0' $< > $@

define rule
$(OUT)/$(1).$(2).lm: $(TRAIN)
	@mkdir -p $(OUT)
	@$(LMKIT) ngram fit -q --order $(2) --smoothing $(1) $(TRAIN) -o $$@
endef
$(foreach s,$(SMOOTHINGS),$(foreach o,$(ORDERS),$(eval $(call rule,$(s),$(o)))))
