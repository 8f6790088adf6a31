"""Training of networks: a loop that can resume, checkpoints, data order. It knows tensors only."""
