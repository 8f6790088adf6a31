"""Conversion of motion from one body to another."""
