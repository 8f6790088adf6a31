"""What the components of a pose prior's loss are before any training, on real poses.

    python bench/prior_at_random.py STORE [STORE ...] [--body open-smplh-neutral] [--poses 200] [--seeds 3]

The network of VPoser V02_05 with its first random weights; z drawn. The last two columns weigh each vertex with the
area of skin around it, so that they say the same for every mesh of the same body.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.data import open_store
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.priors import load_recipe
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.training import new_network

_COLUMNS = ("v2v, m", "v2v L1, m", "KL, nats", "geodesic, rad", "joints L1, m", "v2v by area, m", "v2v L1 by area, m")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--body", default="open-smplh-neutral")
    parser.add_argument("--poses", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    body = load_body(args.body)
    surface, area = body_surface(body), area_shares(body)
    print(f"{args.body}, mean of {args.seeds} seeds (least to greatest)")
    for path in args.stores:
        store = open_store(path)
        rows = store.sample()
        wanted = axis_angle_to_matrix(store.body(rows[:: max(1, len(rows) // args.poses)]))
        table = torch.tensor([components(surface, area, wanted, seed) for seed in range(args.seeds)])
        print(f"{path.name}, {len(wanted)} poses")
        for name, values in zip(_COLUMNS, table.T):
            print(f"  {name:<20}{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})")


def components(surface: BodySurface, area: Tensor, wanted: Tensor, seed: int) -> list[float]:
    """One number for each of the columns."""
    network = new_network(load_recipe("vposer-v02_05"), seed).eval()
    posterior = network.encode(wanted)
    rotations = network.decode(posterior.sample(torch.Generator().manual_seed(seed)))
    vertices, joints = surface.pose(rotations)
    target, target_joints = surface.pose(wanted)
    off = vertices - target
    values = [off.norm(dim=-1).mean(), off.abs().mean(), posterior.kl().sum(-1).mean()]
    values += [geodesic_distance(rotations, wanted).mean(), (joints - target_joints).abs().mean()]
    values += [(off.norm(dim=-1) * area).sum(-1).mean(), (off.abs().mean(-1) * area).sum(-1).mean()]
    return [float(value) for value in values]


def area_shares(body: BodyModel) -> Tensor:
    """The part of the skin's area around each vertex of the template."""
    a, b, c = body.template[body.faces].unbind(1)
    thirds = torch.linalg.cross(b - a, c - a).norm(dim=-1) / 6
    area = torch.zeros(body.num_vertices).index_add_(0, body.faces.flatten(), thirds.repeat_interleave(3))
    return area / area.sum()


if __name__ == "__main__":
    main()
