"""Rotations, lenses and cameras, on plain tensors."""
