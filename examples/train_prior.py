"""Train a small pose prior for a few steps: python train_prior.py STORE (see prepare_store.py)."""

import sys
from pathlib import Path

from vitruve.data import open_store
from vitruve.priors import load_prior, load_recipe, train_prior
from vitruve.priors.run import pose_data

recipe = load_recipe("vposer-v02_05").changed(steps=5, batch=32)
folder = Path("prior")
folder.mkdir()
results = train_prior(pose_data(open_store(sys.argv[1]), recipe), folder, recipe)
print(results)
print(load_prior(folder))
