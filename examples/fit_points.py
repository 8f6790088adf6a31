"""Fit a body to points that were measured on it, such as markers: pose, place and one shape for the clip."""

import torch

import vitruve
from vitruve.fit import choose_points, fit_clip
from vitruve.motion import bundled_clip_path

motion = vitruve.load_motion(bundled_clip_path())[:30]
body = vitruve.load_body("open-smplh-neutral")
vertices = torch.arange(0, body.num_vertices, 40)
shaped = body.shaped(torch.tensor([1.0, -0.5, 0.3]))
measured = shaped.vertices(motion.rotations, motion.translation)[:, vertices]  # [frames, points, 3], metres

# A start that is near: here the true pose moved by 3 cm, with the mean shape.
start = motion.translation + torch.tensor([0.03, 0.0, 0.0])
points = choose_points(body, vertices=vertices)
fit = fit_clip(body, points, measured, motion.rotations, start, start_betas=torch.zeros(3))
print(f"{1000 * fit.error.mean():.2f} mm, betas {fit.betas.tolist()}, {int(fit.failed.sum())} frames failed")
