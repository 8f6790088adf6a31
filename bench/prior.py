"""How fast a prior trains, and how good recipes are at equal time.

    python bench/prior.py speed [--batch 128]
    python bench/prior.py recipes STORE --minutes 10 --seeds 3 [--recipes vitruve,vposer-v02_05] [--other STORE]

`speed` takes training steps of the published recipe as a reference implementation does them (written down here from its
published description: axis-angle in between, the whole body of the `smplx` package, all vertices) and as Vitruve does,
on the same body, batch and poses, and of the default recipe. `recipes` trains each for the same time on the same poses,
with several seeds, and measures them on clips that were held out, and on another store.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vitruve.bodies import load_body
from vitruve.bodies.export import export_body
from vitruve.data import Store, open_store
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.learn.plan import Moment
from vitruve.metrics.generation import frechet_distance, moments
from vitruve.priors import PoseData, load_prior, load_recipe, train_prior
from vitruve.priors.recipe import Recipe
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.training import BODY, Objective, measure, new_network

# Clips whose right forearm is turned by half a turn in the source.
_LEFT_OUT = ("01_12", "01_13")
_SAMPLES = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--batch", type=int, default=128)
    speed.add_argument("--steps", type=int, default=8)
    recipes = commands.add_parser("recipes")
    recipes.add_argument("store", type=Path)
    recipes.add_argument("--other", type=Path)
    recipes.add_argument("--minutes", type=float)
    recipes.add_argument("--steps", type=int)
    recipes.add_argument("--seeds", type=int, default=3)
    recipes.add_argument("--recipes", default="vposer-v02_05,vitruve", help="names or TOML files, with commas")
    recipes.add_argument("--out", type=Path, help="keep the runs and results.json here")
    args = parser.parse_args()
    compare_speed(args.batch, args.steps) if args.command == "speed" else compare_recipes(args)


# ---- speed ----------------------------------------------------------------------------------------------------------


class Reference(nn.Module):
    """The published network and step as plain modules, poses as axis-angle throughout."""

    def __init__(self, folder: Path, batch: int) -> None:
        super().__init__()
        import smplx

        self.encoder = nn.Sequential(
            *(nn.BatchNorm1d(63), nn.Linear(63, 512), nn.LeakyReLU(), nn.BatchNorm1d(512), nn.Dropout(0.1)),
            *(nn.Linear(512, 512), nn.Linear(512, 512)),
        )
        self.mu, self.raw = nn.Linear(512, 32), nn.Linear(512, 32)
        self.decoder = nn.Sequential(
            *(nn.Linear(32, 512), nn.LeakyReLU(), nn.Dropout(0.1), nn.Linear(512, 512), nn.LeakyReLU()),
            nn.Linear(512, 126),
        )
        options = {"use_pca": False, "flat_hand_mean": True, "num_betas": 10, "batch_size": batch}
        self.body = smplx.create(str(folder), "smplx", **options).requires_grad_(False)

    def loss(self, vectors: Tensor) -> Tensor:
        hidden = self.encoder(vectors)
        posterior = torch.distributions.Normal(self.mu(hidden), nn.functional.softplus(self.raw(hidden)))
        pairs = self.decoder(posterior.rsample()).view(-1, 3, 2)
        first = nn.functional.normalize(pairs[:, :, 0], dim=1)
        along = (first * pairs[:, :, 1]).sum(1, keepdim=True)
        second = nn.functional.normalize(pairs[:, :, 1] - along * first, dim=1)
        found = torch.stack([first, second, torch.linalg.cross(first, second)], -1)
        wanted = self._matrices(vectors.view(-1, 3))
        with torch.no_grad():
            target = self.body(body_pose=vectors)
        reached = self.body(body_pose=self._vectors(found).view(len(vectors), 63))
        trace = (found @ wanted.transpose(1, 2)).diagonal(dim1=1, dim2=2).sum(1)
        turn = torch.acos(((trace - 1) / 2).clamp(-1 + 1e-6, 1 - 1e-6)).mean()
        normal = torch.distributions.Normal(torch.zeros_like(posterior.mean), torch.ones_like(posterior.mean))
        kl = torch.distributions.kl_divergence(posterior, normal).sum(1).mean()
        mesh = (reached.vertices - target.vertices).abs().mean()
        joints = (reached.joints[:, :55] - target.joints[:, :55]).abs().mean()
        return 4 * mesh + 0.005 * kl + 2 * turn + 2 * joints

    def _matrices(self, vectors: Tensor) -> Tensor:
        from smplx.lbs import batch_rodrigues

        return batch_rodrigues(vectors)

    def _vectors(self, rotations: Tensor) -> Tensor:
        """Axis-angle by way of quaternions, the largest component first."""
        m = rotations
        d = m.diagonal(dim1=1, dim2=2)
        trace = d.sum(1)
        forms = []
        for k in range(4):
            sign = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]][k])
            forms.append((1 + (d * sign).sum(1)).clamp_min(1e-8).sqrt() * 2)
        w, x, y, z = (m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1], trace)
        a, b, c = m[:, 1, 0] + m[:, 0, 1], m[:, 0, 2] + m[:, 2, 0], m[:, 2, 1] + m[:, 1, 2]
        s = forms
        choices = torch.stack(
            [
                torch.stack([s[0] / 4, w / s[0], x / s[0], y / s[0]], 1),
                torch.stack([w / s[1], s[1] / 4, a / s[1], b / s[1]], 1),
                torch.stack([x / s[2], a / s[2], s[2] / 4, c / s[2]], 1),
                torch.stack([y / s[3], b / s[3], c / s[3], s[3] / 4], 1),
            ],
            1,
        )
        best = torch.cat([z[:, None], d], 1).argmax(1)
        q = choices[torch.arange(len(m)), best]
        q = torch.where(q[:, :1] < 0, -q, q)
        sine = q[:, 1:].square().sum(1).clamp_min(1e-14).sqrt()
        angle = 2 * torch.atan2(sine, q[:, 0])
        return q[:, 1:] * (angle / sine)[:, None]


def compare_speed(batch: int, steps: int) -> None:
    """Print poses a second of a training step; the best of several, taken in turn."""
    body = load_body(BODY)
    vectors = 0.4 * torch.randn(batch, 21, 3, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        export_body(body, folder)
        reference = Reference(Path(folder), batch)
    plain = torch.optim.Adam(reference.parameters(), 1e-3, weight_decay=1e-5)
    tasks: dict[str, tuple[int, Callable[[], object]]] = {
        "reference, smplx package": (batch, lambda: _step(plain, reference.loss(vectors.flatten(1))))
    }
    for name, size in (
        ("vposer-v02_05", batch),
        ("vitruve", batch),
        ("vitruve", load_recipe("vitruve").training.batch),
    ):
        tasks[f"{name}, batch {size}"] = size, _our_step(load_recipe(name), size)
    best = dict.fromkeys(tasks, 0.0)
    for _ in range(steps):
        for name, (size, take) in tasks.items():
            clock = time.perf_counter()
            take()
            best[name] = max(best[name], size / (time.perf_counter() - clock))
    first = next(iter(best.values()))
    print(f"{torch.get_num_threads()} threads; body {body.name}, {body.num_vertices:,} vertices")
    for name, rate in best.items():
        print(f"{name:<28}{rate:8,.0f} poses/s   {rate / first:5.1f} x")


def _our_step(recipe: Recipe, size: int) -> Callable[[], object]:
    objective = Objective(recipe, body_surface(load_body(BODY), recipe.vertices))
    network = new_network(recipe, 0).train()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, weight_decay=1e-5, fused=True)
    vectors = 0.4 * torch.randn(size, 21, 3, generator=torch.Generator().manual_seed(0))
    return lambda: _step(optimiser, objective.loss(network, {"axis_angle": vectors}, Moment(0, 0.0, 0.5))[0])


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


# ---- recipes --------------------------------------------------------------------------------------------------------


def compare_recipes(args: argparse.Namespace) -> None:
    """Train each recipe with each seed, and print what they come to."""
    store = open_store(args.store)
    clips = [clip.key for clip in store.clips if clip.name not in _LEFT_OUT]
    held = [key for i, key in enumerate(sorted(clips)) if i % 5 == 2]
    train, valid = store.sample(clips=[key for key in clips if key not in held]), store.sample(clips=held, every=4)
    others = {"held out": PoseData(store.body, train, valid)}
    if args.other:
        other = open_store(args.other)
        others["other store"] = PoseData(other.body, train, other.sample(every=12))
    print(f"{len(train):,} poses to learn from; " + ", ".join(f"{k}: {len(d.valid):,}" for k, d in others.items()))
    data = PoseData(store.body, train, valid[::4], source=str(args.store))
    table: dict[str, list[dict[str, float]]] = {}
    root = args.out or Path(tempfile.mkdtemp())
    for seed in range(args.seeds):
        for name in args.recipes.split(","):
            folder = root / f"{Path(name).stem}-{seed}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            recipe = load_recipe(name).changed(minutes=args.minutes, steps=args.steps, seed=seed)
            results = train_prior(data, folder, recipe, device="cpu")
            row = {"steps": results["steps"], "poses/s": results["poses_per_second"], **_scores(folder, others, store)}
            table.setdefault(name, []).append(row)
            print(name, seed, json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)
    for key in next(iter(table.values()))[0]:
        cells = [f"{Path(name).stem}: {_spread([row[key] for row in rows])}" for name, rows in table.items()]
        print(f"{key:<40}{'   '.join(cells)}")
    if args.out:
        (root / "results.json").write_text(json.dumps(table, indent=1))


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4g} ({min(values):.4g} to {max(values):.4g})"


@torch.no_grad()
def _scores(folder: Path, others: dict[str, PoseData], store: Store) -> dict[str, float]:
    """Reconstruction at the mean, and distances of drawn poses, on the best weights."""
    prior, surface = load_prior(folder), body_surface(load_body(BODY))
    drawn = moments(_points(prior.sample(_SAMPLES, torch.Generator().manual_seed(0)), surface))
    out = {}
    for name, data in others.items():
        found = measure(prior.network, data, surface)
        out |= {f"{name}: mesh mm": 1000 * found["mesh_m"], f"{name}: joints mm": 1000 * found["joints_m"]}
        out[f"{name}: degrees"] = float(np.degrees(found["geodesic_rad"]))
        out[f"{name}: kl nats"], out[f"{name}: active"] = found["kl_nats"], found["active_units"]
        for part, rows in (("held", data.valid), ("train", data.train)):
            if part == "train" and name != "held out":
                continue
            rows = rows[:: max(1, len(rows) // _SAMPLES)]
            out[f"{name}: fid joints22 {part}"] = frechet_distance(
                drawn, moments(_points(axis_angle_to_matrix(data.body(rows)), surface))
            )
    return out


def _points(rotations: Tensor, surface: BodySurface) -> Tensor:
    parts = [surface.pose(part)[1][:, :22].flatten(1) for part in rotations.split(1024)]
    return torch.cat(parts).double()


if __name__ == "__main__":
    main()
