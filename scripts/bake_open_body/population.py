"""A population of adults drawn from MakeHuman's sliders."""

import numpy as np
from makehuman import MACRO, Source

GENDERS = ("neutral", "female", "male")
# Sliders that are not about the shape of an adult body in general.
_EXCLUDED = ("genitals/", "pelvis/bulge", "pregnant", "navel", "nipple", "breast-point", "ears/ear-shape-pointed")
# Standard deviation of what a single-feature slider moves the farthest vertex by (m), and of the slider itself at most.
LOCAL_SPREAD, LOCAL_SIGMA = 0.0035, 0.3


def _hat(values: np.ndarray, labels: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Weights of evenly spaced anchors on [0, 1] by linear interpolation: {label: [N]}."""
    place = np.clip(values, 0, 1) * (len(labels) - 1)
    return {label: np.clip(1 - np.abs(place - i), 0, 1) for i, label in enumerate(labels)}


def draw_macro(source: Source, gender: str, count: int, random: np.random.Generator) -> np.ndarray:
    """[count, macro targets] coefficients of random adults, as tall and as heavy as people are."""

    def bell(mean, sigma, low=0.0, high=1.0):
        return np.clip(random.normal(mean, sigma, count), low, high)

    female = {"female": np.ones(count), "male": np.zeros(count), "neutral": np.arange(count) % 2}[gender]
    sliders = {
        "gender": np.abs(female - np.abs(bell(0.0, 0.1, -0.3, 0.3))),
        "age": random.beta(1.2, 2.0, count),
        "muscle": bell(0.5, 0.2),
        "weight": bell(0.52, 0.3),
        "height": bell(0.385, 0.055),
        "proportions": random.uniform(0.0, 0.8, count),
        "cupsize": bell(0.5, 0.2),
        "firmness": bell(0.5, 0.2),
    }
    weights = {}
    for name, values in sliders.items():
        weights |= _hat(values, MACRO[name])
    weights |= dict(zip(MACRO["ancestry"], random.dirichlet([1, 1, 1], count).T))
    return np.stack([np.prod([weights[label] for label in key], axis=0) for key in source.macro], axis=1)


def draw_local(source: Source, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """{slider: [count] in -1..1} small independent changes of single features."""
    drawn = {}
    for name, (low, high) in source.local.items():
        if not any(word in name for word in _EXCLUDED):
            reach = max(np.linalg.norm(low, axis=1).max(), np.linalg.norm(high, axis=1).max())
            sigma = min(LOCAL_SIGMA, LOCAL_SPREAD / reach)
            drawn[name] = sigma * np.clip(random.normal(0, 1, count), -2.5, 2.5)
    return drawn


def draw_population(source: Source, gender: str, count: int, seed: int) -> np.ndarray:
    """[count, V, 3] whole source vertices (helpers too) of random adults in the A-pose, exactly symmetric."""
    random = np.random.default_rng(seed)
    flat = (draw_macro(source, gender, count, random) @ _stack(source.macro.values())).astype(np.float32)
    for name, values in draw_local(source, count, random).items():
        low, high = (target.reshape(-1) for target in source.local[name])
        moved = np.flatnonzero((low != 0) | (high != 0))
        flat[:, moved] += np.outer(np.clip(values, 0, None), high[moved]).astype(np.float32)
        flat[:, moved] += np.outer(np.clip(-values, 0, None), low[moved]).astype(np.float32)
    vertices = flat.reshape(count, -1, 3) + source.vertices.astype(np.float32)
    mirrored = vertices[:, source.mirror] * np.float32([-1, 1, 1])
    return 0.5 * (vertices + mirrored)


def _stack(targets) -> np.ndarray:
    return np.stack([t.reshape(-1) for t in targets])
