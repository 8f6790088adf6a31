"""Training: a plain loop that goes on where it was stopped, checkpoints, data order. Knows tensors only."""
