"""Priors from files: the one that ships, those of runs, and the released VPoser of both versions, read strictly.

prior = load_prior("open")                      # ships with the package
prior = load_prior("run")                       # a run's folder: its best weights
prior = load_prior("V02_05")                    # the released folder; its last snapshot, which is the best
prior = load_prior("TR00_E096.pt")              # version 1
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitruve.errors import BadData, MissingAsset
from vitruve.priors.plain_yaml import flat, read_yaml
from vitruve.priors.prior import Prior, load_own, network_of
from vitruve.priors.torch_file import read_torch_file, tensors_of
from vitruve.priors.vposer import VPoser
from vitruve.priors.vposer_v1 import VPoserV1

# The body model that the release carries inside, and the network's own prefix.
_BODY, _PREFIX = "bm_train.", "vp_model."
SHIPPED = "open"
"""The name of the prior that ships."""

_MEND = "mend the file, put the one that came with the weights in its place, or remove it"
_LICENCE = "VPoser's own licence (non-commercial; see the file's source)"
# Old and new spellings of settings in the files beside a release -> what they say.
_WIDTH = ("num_neurons", "num_neurons_enc")
_LATENT = ("latentD", "latentd")
_BODY_FILE = ("bm_fname", "bm_path")


def load_prior(path: str | Path) -> Prior:
    """A prior from a run's folder, a checkpoint of ours, or a released VPoser: folder, .ckpt (v2) or .pt (v1).

    Args:
        path: where it is; "open", where nothing is called so here, is the prior that ships.

    Raises:
        MissingAsset: nothing is there.
        BadData: every weight that is missing, unexpected or misshapen is listed.
    """
    path = Path(path).expanduser()
    if str(path) == SHIPPED and not path.exists():
        return replace(load_own(Path(__file__).parent / "open_data" / "open.safetensors"), name=SHIPPED)
    if path.is_dir():
        path = _file_of(path)
    if path.suffix == ".safetensors":
        return load_own(path)
    if not path.exists():
        raise MissingAsset(
            "there is no prior here",
            where=str(path),
            fix=f"give '{SHIPPED}' or a run's folder or a checkpoint; to make one: "
            f"vitruve prior train STORE --out {path.name}",
        )
    if path.suffix not in (".ckpt", ".pt", ".pth"):
        fix = "give a run's folder, or a .safetensors, .ckpt or .pt file"
        raise BadData(f"'{path.suffix}' is no file of a prior", where=str(path), fix=fix)
    return _released(path)


def _file_of(folder: Path) -> Path:
    """The checkpoint of a folder: a run's best weights, or the last snapshot of a release."""
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    found = [*folder.glob("snapshots/*.ckpt"), *folder.glob("*.ckpt")]
    found = found or [*folder.glob("snapshots/*.pt"), *folder.glob("TR*.pt")]
    if not found:
        raise MissingAsset(
            "this folder holds no prior",
            where=f"{folder}: no best.safetensors, snapshots/*.ckpt or snapshots/*.pt",
            fix="give the folder of a run of `vitruve prior train`, or of a released VPoser",
        )
    # Snapshots were written when the validation got better, so the last epoch is the best; the files' dates say
    # nothing once they were copied.
    return max(found, key=lambda file: (_epoch(file), file.name))


def _epoch(file: Path) -> int:
    found = re.search(r"epoch=(\d+)|_E(\d+)", file.name)
    return int(found[1] or found[2]) if found else -1


def _released(path: Path) -> Prior:
    content = read_torch_file(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    tensors = tensors_of(state, str(path))
    body = sorted(key for key in tensors if key.startswith(_BODY))
    notes = []
    if body:
        notes.append(f"the file carries a body model, which was dropped: {', '.join(body)}")
    weights = {key.removeprefix(_PREFIX): value for key, value in tensors.items() if not key.startswith(_BODY)}
    network = network_of(weights, str(path))
    notes += odd_statistics(weights)
    settings, file = _settings(path)
    _compare(settings, network, file)
    words = {"data": {"licences": [_LICENCE], "commercial_use": "no"}, "settings": settings}
    return Prior(network, path.stem, network.kind, words, tuple(notes))


def odd_statistics(weights: Mapping[str, Tensor]) -> list[str]:
    """What does not fit in the running statistics of the normalisations and the weights around them, one line each."""
    second = "encoder_net.1.running_mean" in weights
    norms = ("encoder_net.1", "encoder_net.4") if second else ("bodyprior_enc_bn1", "bodyprior_enc_bn2")
    found = []
    for name in norms:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        if bool((var <= 0).any()):
            found.append(f"{name}.running_var has {int((var <= 0).sum())} values that are not positive")
        steps = weights.get(f"{name}.num_batches_tracked")
        if bool((mean == 0).all()) and bool((var == 1).all()):
            found.append(f"{name} was never trained: its statistics are those it began with")
        elif steps is not None and int(steps) == 0:
            found.append(f"{name} says it has seen no batch, but its statistics have changed")
    likeness = _likeness(weights, *norms, "encoder_net.2" if second else "bodyprior_enc_fc1", 0.01 if second else 0.2)
    if not found and likeness < 0.5:
        found.append(
            f"the statistics of {norms[1]} do not fit the weights before it (correlation {likeness:.2f}, usually above "
            "0.9): parts of the file may come from different networks"
        )
    return found


def _likeness(weights: Mapping[str, Tensor], first: str, second: str, layer: str, slope: float) -> float:
    """Correlation of the running mean of the second normalisation with what the layers before it would give it.

    After the first normalisation a value has the mean `bias` and the deviation `weight`. Taking these as independent,
    the sums of the layer are about normal, and the mean of a leaky rectifier of a normal variable is known.
    """
    kernel = weights[f"{layer}.weight"].double()
    mean = kernel @ weights[f"{first}.bias"].double() + weights[f"{layer}.bias"].double()
    std = (kernel.square() @ weights[f"{first}.weight"].double().square()).sqrt().clamp_min(1e-9)
    normal = torch.distributions.Normal(0.0, 1.0)
    positive = mean * normal.cdf(mean / std) + std * normal.log_prob(mean / std).exp()
    expected = positive + slope * (mean - positive)
    return float(torch.corrcoef(torch.stack([expected, weights[f"{second}.running_mean"].double()]))[0, 1])


def _settings(path: Path) -> tuple[dict[str, str], Path | None]:
    """The settings beside a release (its .yaml, or .ini of version 1), as far as they concern the network."""
    folder = path.parent.parent if path.parent.name == "snapshots" else path.parent
    # The run's own file has the run's name; another one may lie beside it.
    found = sorted(
        [*folder.glob("*.yaml"), *folder.glob("*.ini")], key=lambda file: (file.stem != folder.name, file.name)
    )
    if not found:
        return {}, None
    try:
        text = found[0].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadData("the settings are no text", where=f"{found[0]}: {error}", fix=_MEND) from None
    values = _ini(text, found[0]) if found[0].suffix == ".ini" else flat(read_yaml(text, str(found[0])))
    out = {}
    for name, spellings in (("hidden", _WIDTH), ("latent", _LATENT), ("body_model", _BODY_FILE)):
        value = next((values[key] for key in (*spellings, *map(str.lower, spellings)) if key in values), None)
        if value is not None:
            value = str(value)
            out[name] = Path(value).name if name == "body_model" else value.strip()
    return out, found[0]


def _ini(text: str, file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        said = str(error).splitlines()[0]
        raise BadData("the settings are no ini file", where=f"{file}: {said}", fix=_MEND) from None
    sections = [parser.defaults(), *(parser[name] for name in parser.sections())]
    return {key: value for section in sections for key, value in section.items()}


def _compare(settings: Mapping[str, str], network: VPoser | VPoserV1, file: Path | None) -> None:
    for key, value in (("hidden", network.hidden), ("latent", network.latent)):
        if key in settings and settings[key] != str(value):
            raise BadData(
                "the settings do not belong to the weights",
                where=f"{file}: {key} is {settings[key]}, the weights have {value}",
                fix="put the file that came with the weights beside them, or remove it",
            )


def describe(prior: Prior) -> dict[str, Any]:
    """What is known of a prior, as plain values for a table."""
    data, recipe = prior.words.get("data", {}), prior.words.get("recipe", {})
    weights = sum(value.numel() for value in prior.network.parameters())
    out = {
        "network": prior.kind,
        "weights": weights,
        "hidden": prior.network.hidden,
        "latent": prior.latent,
        "recipe": recipe.get("name"),
        "body of the loss": prior.words.get("body") or prior.words.get("settings", {}).get("body_model"),
        "steps": prior.words.get("training", {}).get("step"),
        "trained on": data.get("source"),
        "poses": data.get("train_poses"),
        "licences of the data": "; ".join(data.get("licences", [])) or "not known",
        "commercial use": data.get("commercial_use", "unknown"),
    }
    return {key: value for key, value in out.items() if value is not None}


def energy_rows(prior: Prior) -> list[tuple[str, str]]:
    """Below which energies held-out poses lie, for a table; no row where the file does not say."""
    found = prior.words.get("statistics", {}).get("energy_of_data", {})
    said = ", ".join(f"{100 * float(share):g} % below {level:.1f}" for share, level in found.items())
    return [("energy of the data", f"{said} nats")] if found else []
