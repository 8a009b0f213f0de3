"""Neural models in torch: training, scoring in batches, GPUs. The only room that imports torch."""

import os

# Threads that wait for one another sleep instead of spinning. Where other processes compute too, spinning makes
# two threads many times slower than one; on a quiet machine it gains next to nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
