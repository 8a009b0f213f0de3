"""Neural networks in torch: bodies, batch scoring, GPUs. With `training` the only package that imports torch."""

import os

# Threads that wait for one another spin only shortly before they sleep. Where other processes compute too, spinning
# long, as is the rule, makes two threads many times slower than one; on a quiet machine this costs nothing.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
