"""AMASS: its archives, the names of its sets and sequences, published splits and annotated poses."""
