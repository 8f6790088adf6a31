"""Loading priors: the shipped one, those of runs, and the released VPoser of both versions.

prior = load_prior("open")                      # ships with the package
prior = load_prior("run")                       # a run's folder: its best weights
prior = load_prior("V02_05")                    # the released folder: its last snapshot, which is the best
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
from vitruve.priors.vposer import VPoser, VPoserV1

# Prefixes in released files: of the body model and of the network.
_BODY, _PREFIX = "bm_train.", "vp_model."
SHIPPED = "open"
"""The name of the shipped prior."""

_REPLACE = "correct the file, replace it by the one that came with the weights, or remove it"
_LICENCE = "VPoser's own licence (non-commercial; see the file's source)"
# Our name of a setting, and its names in the files beside a release (lower case).
_SETTINGS = {
    "hidden": ("num_neurons", "num_neurons_enc"),
    "latent": ("latentd",),
    "body_model": ("bm_fname", "bm_path"),
}


def load_prior(path: str | Path) -> Prior:
    """A prior from a run's folder, one of our checkpoints, or a released VPoser: folder, .ckpt (v2) or .pt (v1).

    "open" is the shipped prior, unless a file or folder has this name.
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
            "the prior does not exist",
            where=str(path),
            fix=f"give '{SHIPPED}', a run's folder or a checkpoint; to train one: "
            f"vitruve prior train STORE --out {path.name}",
        )
    if path.suffix not in (".ckpt", ".pt", ".pth"):
        fix = "give a run's folder, or a .safetensors, .ckpt or .pt file"
        raise BadData(f"'{path.suffix}' is not a file of a prior", where=str(path), fix=fix)
    return _released(path)


def _file_of(folder: Path) -> Path:
    """The checkpoint of a folder: a run's best weights, or the last snapshot of a release."""
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    files = [*folder.glob("snapshots/*.ckpt"), *folder.glob("*.ckpt")]
    files = files or [*folder.glob("snapshots/*.pt"), *folder.glob("TR*.pt")]
    if not files:
        raise MissingAsset(
            "this folder holds no prior",
            where=f"{folder}: no best.safetensors, snapshots/*.ckpt or snapshots/*.pt",
            fix="give the folder of a run of `vitruve prior train`, or of a released VPoser",
        )
    # Snapshots are written when the validation improves, so the last epoch is the best; copies lose the file dates.
    return max(files, key=lambda file: (_epoch(file), file.name))


def _epoch(file: Path) -> int:
    match = re.search(r"epoch=(\d+)|_E(\d+)", file.name)
    return int(match[1] or match[2]) if match else -1


def _released(path: Path) -> Prior:
    content = read_torch_file(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    tensors = tensors_of(state, str(path))
    body = sorted(key for key in tensors if key.startswith(_BODY))
    notes = []
    if body:
        notes.append(f"the file contains a body model, which was ignored: {', '.join(body)}")
    weights = {key.removeprefix(_PREFIX): value for key, value in tensors.items() if not key.startswith(_BODY)}
    network = network_of(weights, str(path))
    notes += odd_statistics(weights)
    settings = _settings(path, network)
    words = {"data": {"licences": [_LICENCE], "commercial_use": "no"}, "settings": settings}
    return Prior(network, path.stem, network.kind, words, tuple(notes))


def odd_statistics(weights: Mapping[str, Tensor]) -> list[str]:
    """Oddities of the normalisations' running statistics and the weights around them, one line each."""
    second = "encoder_net.1.running_mean" in weights
    norms = ("encoder_net.1", "encoder_net.4") if second else ("bodyprior_enc_bn1", "bodyprior_enc_bn2")
    odd = []
    for name in norms:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        if bool((var <= 0).any()):
            odd.append(f"{name}.running_var has {int((var <= 0).sum())} values that are not positive")
        steps = weights.get(f"{name}.num_batches_tracked")
        if bool((mean == 0).all()) and bool((var == 1).all()):
            odd.append(f"{name} was never trained: its statistics have their initial values")
        elif steps is not None and int(steps) == 0:
            odd.append(f"{name} has seen no batch, but its statistics have changed")
    correlation = _correlation(weights, *norms, *(("encoder_net.2", 0.01) if second else ("bodyprior_enc_fc1", 0.2)))
    if not odd and correlation < 0.5:
        odd.append(
            f"the statistics of {norms[1]} do not fit the weights before it (correlation {correlation:.2f}, usually "
            "above 0.9): parts of the file may come from different networks"
        )
    return odd


def _correlation(weights: Mapping[str, Tensor], first: str, second: str, layer: str, slope: float) -> float:
    """Correlation of the running mean of the second normalisation with its expectation from the layers before it.

    After the first normalisation a value has the mean `bias` and the deviation `weight`. If these are independent, the
    outputs of the layer are about normal, and the mean of a leaky rectifier of a normal variable is known.
    """
    kernel = weights[f"{layer}.weight"].double()
    mean = kernel @ weights[f"{first}.bias"].double() + weights[f"{layer}.bias"].double()
    std = (kernel.square() @ weights[f"{first}.weight"].double().square()).sqrt().clamp_min(1e-9)
    normal = torch.distributions.Normal(0.0, 1.0)
    positive = mean * normal.cdf(mean / std) + std * normal.log_prob(mean / std).exp()
    expected = positive + slope * (mean - positive)
    return float(torch.corrcoef(torch.stack([expected, weights[f"{second}.running_mean"].double()]))[0, 1])


def _settings(path: Path, network: VPoser | VPoserV1) -> dict[str, str]:
    """Settings of the network in a .yaml or .ini file beside it; raises if they contradict the weights."""
    folder = path.parent.parent if path.parent.name == "snapshots" else path.parent
    files = [*folder.glob("*.yaml"), *folder.glob("*.ini")]
    if not files:
        return {}
    # The run's own file has the name of its folder.
    file = min(files, key=lambda file: (file.stem != folder.name, file.name))
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadData("the settings are not a text file", where=f"{file}: {error}", fix=_REPLACE) from None
    values = _ini(text, file) if file.suffix == ".ini" else flat(read_yaml(text, str(file)))
    values = {key.lower(): str(value) for key, value in values.items()}
    out = {}
    for name, keys in _SETTINGS.items():
        value = next((values[key] for key in keys if key in values), None)
        if value is not None:
            out[name] = Path(value).name if name == "body_model" else value.strip()
    for name, actual in (("hidden", network.hidden), ("latent", network.latent)):
        if out.get(name, str(actual)) != str(actual):
            raise BadData(
                "the settings do not belong to the weights",
                where=f"{file}: {name} is {out[name]}, the weights have {actual}",
                fix="put the file that came with the weights beside them, or remove it",
            )
    return out


def _ini(text: str, file: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = str(error).splitlines()[0]
        raise BadData("the settings are not an ini file", where=f"{file}: {line}", fix=_REPLACE) from None
    sections = [parser.defaults(), *(parser[name] for name in parser.sections())]
    return {key: value for section in sections for key, value in section.items()}


def describe(prior: Prior) -> dict[str, Any]:
    """Facts about a prior, as plain values for a table."""
    data, recipe = prior.words.get("data", {}), prior.words.get("recipe", {})
    out = {
        "network": prior.kind,
        "weights": sum(value.numel() for value in prior.network.parameters()),
        "hidden": prior.network.hidden,
        "latent": prior.latent,
        "recipe": recipe.get("name"),
        "body of the loss": prior.words.get("body") or prior.words.get("settings", {}).get("body_model"),
        "steps": prior.words.get("training", {}).get("step"),
        "trained on": data.get("source"),
        "poses": data.get("train_poses"),
        "licences of the data": "; ".join(data.get("licences", [])) or "unknown",
        "commercial use": data.get("commercial_use", "unknown"),
    }
    return {key: value for key, value in out.items() if value is not None}


def energy_rows(prior: Prior) -> list[tuple[str, str]]:
    """Quantiles of the energy of validation poses, for a table; empty if the file has none."""
    quantiles = prior.words.get("statistics", {}).get("energy_of_data", {})
    text = ", ".join(f"{100 * float(share):g} % below {level:.1f}" for share, level in quantiles.items())
    return [("energy of the data", f"{text} nats")] if quantiles else []
