"""The training loop, the collective it adds over, and checkpoints."""
