# A language model describes pictures: `make -f examples/captions.mk` (under three minutes on two cores; needs the extra
# `torch`, and scikit-learn for its handwritten digits). A vision transformer learns digits, a language model learns to
# answer a question about words that it reads before it. Both are then frozen, and one linear map is trained to put
# pictures where those words were. The table has the share of 500 pictures whose caption is right, and what a linear
# probe of the visual tokens knows alone; with pictures in the wrong order (`shifted`) it is what guessing gives. An
# untrained vision transformer is not much worse: digits are easy, so captions alone do not show that it learned to see.

.DEFAULT_GOAL := table
UNIT := captions
OUT ?= build/captions
FIGURES = $(OUT)/figure.svg $(OUT)/confusion.svg
include $(dir $(lastword $(MAKEFILE_LIST)))unit.mk
EPOCHS := $(if $(filter small,$(STEPS)),2,15)
READING := $(if $(filter small,$(STEPS)),60,400)
FITTING := $(if $(filter small,$(STEPS)),4,20)
QUESTION := what is in the picture ?
EYES := trained untrained

.PHONY: table
table: $(OUT)/table.tsv $(OUT)/captions.html
	@column -t -s "$$(printf '\t')" $< 2> /dev/null || cat $<

$(OUT)/train.npz $(OUT)/valid.npz $(OUT)/test.npz $(OUT)/test.jsonl $(OUT)/shifted.jsonl $(OUT)/text.txt &:
	@$(PYTHON) $(EXAMPLES)captions-data.py $(OUT)

# The two models, each trained alone, and a vision transformer with its first weights.
$(OUT)/trained.lm: $(OUT)/train.npz $(OUT)/valid.npz
	@$(LMKIT) train vision --valid $(OUT)/valid.npz --epochs $(EPOCHS) --threads 1 $< -o $@ --restart

$(OUT)/untrained.lm: $(OUT)/train.npz
	@$(LMKIT) train vision --epochs 0 $< -o $@ --restart

$(OUT)/language.lm: $(OUT)/text.txt
	@$(LMKIT) train transformer --tokens word --by line --layers 2 --width 64 --heads 4 --context 32 --steps $(READING) \
	  --threads 1 $< -o $@ --restart

# What joins them is all that is trained here.
$(EYES:%=$(OUT)/%-captioner.lm): $(OUT)/%-captioner.lm: $(OUT)/%.lm $(OUT)/language.lm $(OUT)/train.npz $(OUT)/valid.npz
	@$(LMKIT) train captioner --vision $< -m $(OUT)/language.lm --prompt '$(QUESTION)' --valid $(OUT)/valid.npz \
	  --epochs $(FITTING) --threads 1 --log $(OUT)/$*-captioner.jsonl $(OUT)/train.npz -o $@ --restart

$(EYES:%=$(OUT)/%.jsonl): $(OUT)/%.jsonl: $(OUT)/%-captioner.lm $(OUT)/test.jsonl
	@$(LMKIT) sample -m $< --greedy $(OUT)/test.jsonl -o $@

$(OUT)/shifted-answers.jsonl: $(OUT)/trained-captioner.lm $(OUT)/shifted.jsonl
	@$(LMKIT) sample -m $< --greedy $(OUT)/shifted.jsonl -o $@

$(OUT)/confusion.svg: $(OUT)/trained.lm $(OUT)/test.jsonl
	@$(LMKIT) predict -m $< $(OUT)/test.jsonl | $(LMKIT) eval classify --plot $@ > $(OUT)/labels.tsv

right = $$($(LMKIT) eval em -b --gold $(OUT)/test.jsonl --gold-field caption --field text $(1))
probe = $$($(LMKIT) info --json $(1) | $(PYTHON) -c 'import json, sys; print(json.load(sys.stdin)["origin"]["trained"]["validation"]["probe"])')

$(OUT)/table.tsv: $(EYES:%=$(OUT)/%.jsonl) $(OUT)/shifted-answers.jsonl
	@printf 'vision transformer\tpictures\tcaptions right\tlinear probe\n' > $@
	@for eyes in $(EYES); do printf '%s\tin order\t%s\t%s\n' $$eyes $(call right,$(OUT)/$$eyes.jsonl) \
	  $(call probe,$(OUT)/$$eyes-captioner.lm) >> $@; done
	@printf 'trained\tshifted\t%s\t\n' $(call right,$(OUT)/shifted-answers.jsonl) >> $@

$(OUT)/captions.html: $(OUT)/table.tsv $(OUT)/confusion.svg
	@for eyes in $(EYES); do $(LMKIT) eval em --json --gold $(OUT)/test.jsonl --gold-field caption --field text \
	  $(OUT)/$$eyes.jsonl > $(OUT)/$$eyes-em.jsonl; done
	@$(LMKIT) report $(EYES:%=$(OUT)/%-em.jsonl) $(EYES:%=$(OUT)/%-captioner.jsonl) -o $@

$(OUT)/figure.svg: $(OUT)/table.tsv
	@awk -F '\t' 'NR > 1 { print ($$2 == "shifted" ? $$2 : $$1) "\tcaptions right\t" $$3; if ($$4) print $$1 "\tlinear probe\t" $$4 }' $< \
	  | awk -F '\t' -v title='digits described, of 500' -f $(EXAMPLES)bars.awk > $@

# The exercise: a caption that is wrong; its `id` in the test.
check: $(OUT)/trained.jsonl
	@$(PYTHON) -c 'import json, sys; wrong = {str(one["id"]) for one in map(json.loads, open(sys.argv[1])) if one["text"] != one["caption"]}; \
	  fine = sys.argv[2] in wrong; print("right" if fine else "that one is right, or is not there"); sys.exit(not fine)' $< '$(ID)'
