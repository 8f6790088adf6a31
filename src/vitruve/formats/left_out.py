"""Describe the extra fields of a file for notes about what is not carried over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# Part of a field name -> description; the first match wins.
_WORDS = {"dmpl": "soft tissue", "marker": "markers", "latent": "markers", "label": "labels"}
COPIES = ("file_", "root_orient", "pose_")
"""First letters of the extras in which readers keep the file's own arrays of what the motion holds."""
# Internal extras of readers: these, bone ends, limits, and fields that follow from the motion.
_OWN = (*COPIES, "end_sites", "limits", "mocap_time_length", "surface_model_type", "num_")


def left_out(extras: Mapping[str, Any]) -> str:
    """Such as "soft tissue (dmpls), labels (labels)"; empty if there is nothing that a user would miss."""
    kinds: dict[str, list[str]] = {}
    for key, value in extras.items():
        if key.startswith(_OWN) or np.size(value) == 0:
            continue
        kind = next((words for part, words in _WORDS.items() if part in key.lower()), "other fields")
        kinds.setdefault(kind, []).append(key)
    return ", ".join(f"{kind} ({', '.join(keys)})" for kind, keys in kinds.items())
