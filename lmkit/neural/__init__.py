"""Neural models in torch: training, scoring in batches, GPUs. The only room that imports torch."""
