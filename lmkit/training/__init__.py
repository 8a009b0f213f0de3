"""Training of neural models in torch: batches, optimizers, schedules, the trainer."""

import lmkit.nn  # noqa: F401  # sets how long threads spin, before torch is imported
