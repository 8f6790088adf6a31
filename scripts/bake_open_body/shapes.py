"""The linear shape space: principal components of the mixed population, and each gender's own axes inside it."""

from dataclasses import dataclass

import numpy as np

COMPONENTS, BETAS = 48, 32
MIXED = 12  # axes that may be turned to bring heaviness to the second place


@dataclass(frozen=True)
class ShapeSpace:
    """Bodies are mean + space @ coefficients; a gender's are mean + space @ (means[g] + mixes[g] @ betas)."""

    mean: np.ndarray  # [V, 3] m
    space: np.ndarray  # [V, 3, K] m per standard deviation of the mixed population
    means: dict[str, np.ndarray]  # [K]
    mixes: dict[str, np.ndarray]  # [K, S]


def fit_shape_space(samples: dict[str, np.ndarray], areas: np.ndarray, heaviness: dict[str, np.ndarray]) -> ShapeSpace:
    """samples {gender: [N, V, 3]}, one of them "neutral"; areas [V] of the vertices; heaviness {gender: [N]}.

    Vertices count by the square root of their area: between by area, which forgets the face, and alike.
    """
    weight = np.sqrt(np.sqrt(areas / areas.mean()))[:, None]
    mean = samples["neutral"].mean(0, dtype=float)
    centred = ((samples["neutral"] - mean) * weight).reshape(len(samples["neutral"]), -1)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    axes = (centred.T @ vectors) / np.sqrt(values)  # [3V, K] orthonormal in the weighted metric
    sigma = np.sqrt(values / (len(centred) - 1))
    space = ((axes * sigma).reshape(*mean.shape, -1)) / weight[..., None]
    means, mixes = {}, {}
    for gender, bodies in samples.items():
        coefficients = ((bodies - mean) * weight).reshape(len(bodies), -1) @ axes  # [N, K], in the metric
        centre = coefficients.mean(0)
        _, spread, own = np.linalg.svd(coefficients - centre, full_matrices=False)
        own = (own * spread[:, None] / np.sqrt(len(bodies) - 1))[:BETAS].T  # [K, S]
        scores = (coefficients - centre) @ own / (own**2).sum(0)
        mix = _heaviness_second(own, scores, heaviness[gender]) / sigma[:, None]
        means[gender] = centre / sigma
        mixes[gender] = mix * _signs(space @ mix, mean[:, 1].argmax(), mean[:, 1].argmin())
    return ShapeSpace(mean, space, means, mixes)


def _heaviness_second(own: np.ndarray, scores: np.ndarray, heaviness: np.ndarray) -> np.ndarray:
    """Turn the axes 1 to MIXED - 1 among themselves so that axis 1 is the one that makes bodies heavier.

    own [K, S] axes of unit-variance scores [N, S]. The turn is one of the scores: they stay uncorrelated and of unit
    variance. The axes after the second are put in the order of their variance again.
    """
    wish = scores[:, 1:MIXED].T @ (heaviness - heaviness.mean())
    wish /= np.linalg.norm(wish)
    others = np.linalg.svd(wish[None])[2][1:].T  # [MIXED - 1, MIXED - 2] across the wish
    axes = own[:, 1:MIXED]
    order = np.linalg.eigh((axes @ others).T @ (axes @ others))[1][:, ::-1]
    return np.concatenate([own[:, :1], (axes @ wish)[:, None], axes @ others @ order, own[:, MIXED:]], axis=1)


def _signs(basis: np.ndarray, crown: int, sole: int) -> np.ndarray:
    """[S] beta 0 up makes taller, beta 1 heavier as it comes, any other moves what it moves farthest up or forwards."""
    signs = np.ones(basis.shape[-1])
    signs[0] = np.sign(basis[crown, 1, 0] - basis[sole, 1, 0])
    for k in range(2, len(signs)):
        upright = basis[..., 1:, k].ravel()  # not x, whose sign differs between left and right
        signs[k] = np.sign(upright[np.abs(upright).argmax()])
    return signs


def volumes(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N] volumes enclosed by closed meshes [N, V, 3], m^3."""
    return np.array([np.einsum("fc,fc->", *_pair(v, triangles)) / 6 for v in vertices])


def _pair(v: np.ndarray, triangles: np.ndarray):
    a, b, c = (v[triangles[:, i]].astype(float) for i in range(3))
    return a, np.cross(b, c)
