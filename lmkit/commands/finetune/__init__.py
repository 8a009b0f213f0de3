"""`lmkit finetune`: classifiers, regressors and taggers from examples, with or without a model to begin with."""
