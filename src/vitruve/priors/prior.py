"""A trained pose prior: a network that is not changed any more, and what is known of it.

prior = load_prior("run")
rotations = prior.sample(16, torch.Generator().manual_seed(0))
penalty = prior.energy(rotations).sum()
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import slerp
from vitruve.learn.checkpoint import load_checkpoint
from vitruve.priors.energy import energy_of
from vitruve.priors.vposer import JOINTS, Gaussian, VPoser
from vitruve.priors.vposer_v1 import VPoserV1

FORMAT = "vitruve-prior-1"
# How far off a network is on common poses where its file does not say.
_ASSUMED_ERROR_RAD = 0.1


@dataclass(frozen=True, eq=False)
class Prior:
    """A trained prior. Joints are those numbered 1 to 21 of SMPL, SMPL+H and SMPL-X.

    Attributes:
        network: in eval mode; its weights take no gradient.
        name: what it is called, for example the run's folder.
        kind: "vposer-v2" or "vposer-v1".
        words: what its file says of it: recipe, data, licences, statistics.
        notes: what was found odd when it was loaded.
    """

    network: VPoser | VPoserV1
    name: str
    kind: str
    words: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def __repr__(self) -> str:
        """One line: what it is called, the network, what it learned from and whether it may be used commercially."""
        data, recipe = self.words.get("data", {}), self.words.get("recipe", {})
        said = [f"{self.kind}, {self.latent} latent dimensions"]
        said += [f"recipe {recipe['name']}"] if recipe.get("name") else []
        said += [f"{data['train_poses']:,} poses"] if data.get("train_poses") else []
        said.append(f"commercial use: {data.get('commercial_use', 'unknown')}")
        return f"Prior('{self.name}': {', '.join(said)})"

    @property
    def latent(self) -> int:
        """Dimensions of the latent space."""
        return self.network.latent

    @property
    def joint_error(self) -> Float[Tensor, "21"]:
        """How far off (root of the mean square, radians) each joint of a reconstruction is on common poses."""
        known = self.words.get("statistics", {}).get("joint_error_rad")
        weight = next(self.network.parameters())
        return weight.new_tensor(known or [_ASSUMED_ERROR_RAD] * JOINTS)

    @property
    def sees_parts(self) -> bool:
        """Whether the network has learned to encode poses of which it sees a part."""
        return bool(self.words.get("recipe", {}).get("masked")) and isinstance(self.network, VPoser)

    def to(self, device: torch.device | str) -> Prior:
        """The prior on another device. It computes there; what it is given may lie elsewhere."""
        return replace(self, network=copy.deepcopy(self.network).to(device))

    def encode(
        self, rotations: Float[Tensor, "*batch 21 3 3"], known: Bool[Tensor, "*#batch 21"] | None = None
    ) -> Gaussian:
        """The latent distribution of poses; its mean is the usual code.

        Args:
            rotations: the poses.
            known: False for joints that are not to be looked at; only where the network `sees_parts`.
        """
        rotations = _checked(rotations).to(next(self.network.parameters()))
        if known is None:
            return self.network.encode(rotations)
        if not (self.sees_parts and isinstance(self.network, VPoser)):
            said = "this prior has not learned to encode a part of a pose"
            raise UsageError(said, where=self.name, fix="use complete(), or train with `masked` in the recipe")
        return self.network.encode(rotations, known.to(rotations.device))

    def decode(self, latent: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """The poses of latent vectors."""
        return self.network.decode(latent.to(next(self.network.parameters())))

    def reconstruct(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Float[Tensor, "*batch 21 3 3"]:
        """What the prior makes of poses: decoded from the mean of their codes."""
        return self.decode(self.encode(rotations).mean)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "count 21 3 3"]:
        """Poses at random."""
        return self.decode(torch.randn(count, self.latent, generator=generator))

    def energy(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Float[Tensor, "*batch"]:
        """How unlikely poses are, in nats up to a constant; small for common poses. Its gradient is finite everywhere.

        Half the squared length of the code, and half the squared distance to the reconstruction in units of
        `joint_error`. `statistics` in the file says which energies the held-out data have.
        """
        weight = next(self.network.parameters())
        return energy_of(self.network, _checked(rotations).to(weight), self.joint_error)

    def interpolate(
        self, start: Float[Tensor, "*batch 21 3 3"], end: Float[Tensor, "*batch 21 3 3"], count: int
    ) -> Float[Tensor, "*batch count 21 3 3"]:
        """Poses on the way from one to another: straight in latent space, turned so that both ends are exact."""
        codes = [self.encode(pose).mean for pose in (start, end)]
        part = torch.linspace(0, 1, count).to(codes[0])
        between = self.decode(codes[0][..., None, :] * (1 - part[:, None]) + codes[1][..., None, :] * part[:, None])
        # What the network gets wrong at the ends is undone in full there, in part between.
        off = [pose.to(code) @ self.decode(code).mT for pose, code in zip((start, end), codes)]
        first, last = (rotation[..., None, :, :, :].expand_as(between) for rotation in off)
        return slerp(first, last, part[:, None]) @ between


def load_own(path: str | Path) -> Prior:
    """A prior from a checkpoint that `vitruve prior train` has written."""
    path = Path(path)
    tensors, words = load_checkpoint(path)
    if words.get("format") != FORMAT:
        raise BadData(
            "this file holds no pose prior",
            where=f"{path}: format is {words.get('format', 'not given')!r}, expected {FORMAT!r}",
            fix="give best.safetensors or last.safetensors of a run, or the run's folder",
        )
    return Prior(network_of(tensors, str(path)), path.parent.name or path.stem, VPoser.kind, words)


def network_of(tensors: Mapping[str, Tensor], where: str) -> VPoser | VPoserV1:
    """The network that weights belong to; every missing, unexpected or misshapen one is named in the error."""
    if any(key.startswith(("encoder_net.", "decoder_net.")) for key in tensors):
        kind, sizes = VPoser, _SIZES
    elif any(key.startswith("bodyprior_") for key in tensors):
        kind, sizes = VPoserV1, _SIZES_V1
    else:
        shown = ", ".join(list(tensors)[:6]) or "none"
        raise BadData("these are no weights of VPoser", where=f"{where}: keys are {shown}", fix="give another file")
    hidden, latent = (_size(tensors, places, usual) for places, usual in zip(sizes, (512, 32)))
    with torch.random.fork_rng([]):
        network = kind(hidden, latent)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = [f"missing {key} {expected[key]}" for key in expected if key not in found]
    wrong += [f"unexpected {key} {found[key]}" for key in found if key not in expected]
    wrong += [
        f"{key} is {found[key]}, expected {expected[key]}"
        for key in expected
        if key in found and found[key] != expected[key]
    ]
    if wrong:
        raise BadData(
            f"the weights do not fit the network {kind.kind}: {len(wrong)} of {len(expected)} entries",
            where=f"{where}: {'; '.join(wrong)}",
            fix="check that this is a whole checkpoint of this network",
        )
    bad = [key for key, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        raise BadData("weights that are no numbers", where=f"{where}: {', '.join(bad)}", fix="take another checkpoint")
    network.load_state_dict(dict(tensors))
    return network


# Where width and latent dimensions can be read off: weights, the next where one is missing, and the axis.
_SIZES = (
    (
        ("encoder_net.2.weight", 0),
        ("encoder_net.6.weight", 0),
        ("decoder_net.0.weight", 0),
        ("decoder_net.5.weight", 1),
    ),
    (("encoder_net.8.mu.weight", 0), ("encoder_net.8.mu.bias", 0), ("decoder_net.0.weight", 1)),
)
_SIZES_V1 = (
    (("bodyprior_enc_fc1.weight", 0), ("bodyprior_enc_fc2.weight", 0), ("bodyprior_dec_fc1.weight", 0)),
    (("bodyprior_enc_mu.weight", 0), ("bodyprior_enc_mu.bias", 0), ("bodyprior_dec_fc1.weight", 1)),
)


def _size(tensors: Mapping[str, Tensor], places: tuple[tuple[str, int], ...], usual: int) -> int:
    for key, axis in places:
        if key in tensors and tensors[key].dim() > axis:
            return max(1, tensors[key].shape[axis])
    return usual


def _checked(rotations: Tensor) -> Tensor:
    if rotations.dim() < 3 or tuple(rotations.shape[-3:]) != (JOINTS, 3, 3):
        raise UsageError(
            "a pose prior takes the 21 joints of the body",
            where=f"rotations have shape {tuple(rotations.shape)}, expected [*batch, {JOINTS}, 3, 3]",
            fix="motion.rotations[:, 1:22] of a SMPL, SMPL+H or SMPL-X motion",
        )
    return rotations
