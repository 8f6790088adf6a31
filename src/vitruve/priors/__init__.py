"""Pose priors: networks that know which poses a body takes; training them, and loading those of others.

from vitruve.priors import load_prior

prior = load_prior("run")
prior.energy(motion.rotations[:, 1:22])
"""

from vitruve.priors.completion import complete
from vitruve.priors.denoising import denoise, denoise_motion, estimate_noise
from vitruve.priors.prior import Prior
from vitruve.priors.recipe import Recipe, load_recipe, recipe_names
from vitruve.priors.released import load_prior
from vitruve.priors.training import PoseData, train_prior

__all__ = [
    "PoseData",
    "Prior",
    "Recipe",
    "complete",
    "denoise",
    "denoise_motion",
    "estimate_noise",
    "load_prior",
    "load_recipe",
    "recipe_names",
    "train_prior",
]
