"""A trained pose prior.

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
from vitruve.priors.vposer import JOINTS, Gaussian, VPoser, VPoserV1

FORMAT = "vitruve-prior-1"
# The error of a joint if the file does not state it.
_DEFAULT_ERROR_RAD = 0.1


@dataclass(frozen=True, eq=False)
class Prior:
    """A trained prior of joints 1 to 21 of SMPL, SMPL+H and SMPL-X.

    Attributes:
        network: in eval mode, without gradients of its weights.
        name: for example the run's folder.
        kind: "vposer-v2" or "vposer-v1".
        words: metadata of the file: recipe, data, licences, statistics.
        notes: oddities found while loading.
    """

    network: VPoser | VPoserV1
    name: str
    kind: str
    words: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def __repr__(self) -> str:
        data, recipe = self.words.get("data", {}), self.words.get("recipe", {})
        facts = [f"{self.kind}, {self.latent} latent dimensions"]
        facts += [f"recipe {recipe['name']}"] if recipe.get("name") else []
        facts += [f"{data['train_poses']:,} poses"] if data.get("train_poses") else []
        facts.append(f"commercial use: {data.get('commercial_use', 'unknown')}")
        return f"Prior('{self.name}': {', '.join(facts)})"

    @property
    def latent(self) -> int:
        """Dimensions of the latent space."""
        return self.network.latent

    @property
    def joint_error(self) -> Float[Tensor, "21"]:
        """Root mean square error of each joint in reconstructions of common poses, radians."""
        known = self.words.get("statistics", {}).get("joint_error_rad")
        return self._weight.new_tensor(known or [_DEFAULT_ERROR_RAD] * JOINTS)

    @property
    def sees_parts(self) -> bool:
        """Whether the network was trained to encode incomplete poses."""
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
            known: False for joints to ignore; requires `sees_parts`.
        """
        rotations = _checked(rotations).to(self._weight)
        if known is None:
            return self.network.encode(rotations)
        if not (self.sees_parts and isinstance(self.network, VPoser)):
            raise UsageError(
                "this prior was not trained to encode incomplete poses",
                where=self.name,
                fix="use complete(), or train with `masked` in the recipe",
            )
        return self.network.encode(rotations, known.to(rotations.device))

    def decode(self, latent: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """The poses of latent vectors."""
        return self.network.decode(latent.to(self._weight))

    def reconstruct(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Float[Tensor, "*batch 21 3 3"]:
        """Poses decoded from the mean of their codes."""
        return self.decode(self.encode(rotations).mean)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "count 21 3 3"]:
        """Random poses."""
        return self.decode(torch.randn(count, self.latent, generator=generator))

    def energy(self, rotations: Float[Tensor, "*batch 21 3 3"]) -> Float[Tensor, "*batch"]:
        """How unlikely poses are: nats up to a constant, small for common poses, with a finite gradient everywhere.

        Half the squared length of the code, plus half the squared distance to the reconstruction in units of
        `joint_error`. `words["statistics"]` has the energies of the validation data.
        """
        return energy_of(self.network, _checked(rotations).to(self._weight), self.joint_error)

    def interpolate(
        self, start: Float[Tensor, "*batch 21 3 3"], end: Float[Tensor, "*batch 21 3 3"], count: int
    ) -> Float[Tensor, "*batch count 21 3 3"]:
        """Poses between two poses: a straight line in latent space, corrected so that both ends are exact."""
        codes = [self.encode(pose).mean for pose in (start, end)]
        part = torch.linspace(0, 1, count).to(codes[0])
        between = self.decode(codes[0][..., None, :] * (1 - part[:, None]) + codes[1][..., None, :] * part[:, None])
        # The reconstruction errors of both ends, interpolated.
        off = [pose.to(code) @ self.decode(code).mT for pose, code in zip((start, end), codes)]
        first, last = (rotation[..., None, :, :, :].expand_as(between) for rotation in off)
        return slerp(first, last, part[:, None]) @ between

    @property
    def _weight(self) -> Tensor:
        """A weight with the network's type and device."""
        return next(self.network.parameters())


def energy_of(
    network: VPoser | VPoserV1, rotations: Float[Tensor, "*batch 21 3 3"], joint_error: Float[Tensor, "21"]
) -> Float[Tensor, "*batch"]:
    """The energy as in `Prior.energy`, for a network in eval mode.

    The squared angle is replaced by 2 (1 - cos angle), which is the same for small angles and smooth everywhere. An
    unknown pose has a high energy even if its code is short, because its reconstruction is far.

    Args:
        joint_error: of each joint, radians.
    """
    latent = network.encode(rotations).mean
    square = 0.5 * (network.decode(latent) - rotations).square().sum((-2, -1))
    scale = joint_error.to(square).clamp_min(1e-3)
    return 0.5 * latent.square().sum(-1) + 0.5 * (square / scale.square()).sum(-1)


def load_own(path: str | Path) -> Prior:
    """A prior from a checkpoint of `vitruve prior train`."""
    path = Path(path)
    tensors, words = load_checkpoint(path)
    if words.get("format") != FORMAT:
        raise BadData(
            "the file is not a pose prior",
            where=f"{path}: format is {words.get('format', 'missing')!r}, expected {FORMAT!r}",
            fix="give best.safetensors or last.safetensors of a run, or the run's folder",
        )
    return Prior(network_of(tensors, str(path)), path.parent.name or path.stem, VPoser.kind, words)


def network_of(tensors: Mapping[str, Tensor], where: str) -> VPoser | VPoserV1:
    """The network for these weights; an error lists all missing, unexpected and misshapen ones."""
    if any(key.startswith(("encoder_net.", "decoder_net.")) for key in tensors):
        kind = VPoser
    elif any(key.startswith("bodyprior_") for key in tensors):
        kind = VPoserV1
    else:
        shown = ", ".join(list(tensors)[:6]) or "none"
        raise BadData("these are not weights of VPoser", where=f"{where}: keys are {shown}", fix="give another file")
    hidden, latent = (_size(tensors, places, default) for places, default in zip(_SIZES[kind], (512, 32)))
    with torch.random.fork_rng([]):
        network = kind(hidden, latent)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    actual = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = [f"missing {key} {expected[key]}" for key in expected if key not in actual]
    wrong += [f"unexpected {key} {actual[key]}" for key in actual if key not in expected]
    wrong += [
        f"{key} is {actual[key]}, expected {shape}"
        for key, shape in expected.items()
        if actual.get(key, shape) != shape
    ]
    if wrong:
        raise BadData(
            f"the weights do not fit the network {kind.kind}: {len(wrong)} of {len(expected)} entries",
            where=f"{where}: {'; '.join(wrong)}",
            fix="check that this is a complete checkpoint of this network",
        )
    bad = [key for key, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        raise BadData("weights are not finite", where=f"{where}: {', '.join(bad)}", fix="take another checkpoint")
    network.load_state_dict(dict(tensors))
    return network


# Weights and axes that show the width and the latent dimensions; the next one is used if a weight is missing.
_SIZES = {
    VPoser: (
        [("encoder_net.2.weight", 0), ("encoder_net.6.weight", 0), ("decoder_net.0.weight", 0)],
        [("encoder_net.8.mu.weight", 0), ("encoder_net.8.mu.bias", 0), ("decoder_net.0.weight", 1)],
    ),
    VPoserV1: (
        [("bodyprior_enc_fc1.weight", 0), ("bodyprior_enc_fc2.weight", 0), ("bodyprior_dec_fc1.weight", 0)],
        [("bodyprior_enc_mu.weight", 0), ("bodyprior_enc_mu.bias", 0), ("bodyprior_dec_fc1.weight", 1)],
    ),
}


def _size(tensors: Mapping[str, Tensor], places: list[tuple[str, int]], default: int) -> int:
    sizes = (tensors[key].shape[axis] for key, axis in places if key in tensors and tensors[key].dim() > axis)
    return max(1, next(sizes, default))


def _checked(rotations: Tensor) -> Tensor:
    if rotations.dim() < 3 or tuple(rotations.shape[-3:]) != (JOINTS, 3, 3):
        raise UsageError(
            "a pose prior takes the 21 joints of the body",
            where=f"rotations have shape {tuple(rotations.shape)}, expected [*batch, {JOINTS}, 3, 3]",
            fix="motion.rotations[:, 1:22] of a SMPL, SMPL+H or SMPL-X motion",
        )
    return rotations
