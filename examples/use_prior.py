"""Sample poses from the prior that ships, and fill in an arm that was not seen."""

import torch

from vitruve.priors import complete, load_prior
from vitruve.priors.completion import joint_mask

prior = load_prior("open")
poses = prior.sample(4, torch.Generator().manual_seed(0))  # [4, 21, 3, 3] rotations of the body joints
filled = complete(prior, poses, joint_mask(["left_arm"]), hypotheses=2)  # [4, 2, 21, 3, 3]
print(tuple(filled.shape), "energy of the samples:", prior.energy(poses).tolist())
