"""Rotations and, later, rigid transforms and cameras. Knows tensors only, no bodies."""
