"""The YAML file of VPoser's published training, as a recipe: each key has a meaning here, or is known to have none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, MissingAsset, nearest
from vitruve.priors.plain_yaml import read_yaml

# key there -> table and key of a recipe
_MEANS: dict[str, tuple[str, str]] = {
    "general.rnd_seed": ("training", "seed"),
    "model_params.num_neurons": ("", "hidden"),
    "model_params.latentD": ("", "latent"),
    "train_parms.batch_size": ("training", "batch"),
    "train_parms.num_epochs": ("training", "epochs"),
    "train_parms.gen_optimizer.args.lr": ("training", "learning_rate"),
    "train_parms.gen_optimizer.args.weight_decay": ("training", "weight_decay"),
    "train_parms.lr_scheduler.args.patience": ("training", "plateau_patience"),
    "train_parms.early_stopping.patience": ("training", "patience"),
    "train_parms.keep_extra_loss_terms_until_epoch": ("", "extra_epochs"),
    "train_parms.loss_weights.loss_rec_wt": ("weights", "mesh_l1"),
    "train_parms.loss_weights.loss_kl_wt": ("weights", "kl"),
    "train_parms.loss_weights.loss_matrot_wt": ("weights", "geodesic"),
    "train_parms.loss_weights.loss_jtr_wt": ("weights", "joints_l1"),
}
# Keys that can have one value only here.
_FIXED: dict[str, tuple[Any, ...]] = {
    "train_parms.gen_optimizer.type": ("Adam",),
    "train_parms.lr_scheduler.type": ("ReduceLROnPlateau",),
    "train_parms.lr_scheduler.args.factor": (0.1,),
    "train_parms.early_stopping.monitor": ("val_loss",),
    "train_parms.early_stopping.min_delta": (0,),
    "train_parms.early_stopping.mode": ("min",),
    "data_parms.num_timeseq_frames": (1,),
}
_NO_MEANING = frozenset(
    [
        *(f"body_model.{key}" for key in ("gender", "bm_path", "bm_fname")),
        *(f"general.{key}" for key in ("verbosity", "expr_id", "dataset_id", "work_basedir", "dataset_basedir")),
        *(f"logging.{key}" for key in ("expr_msg", "num_bodies_to_display", "work_dir", "dataset_dir", "log_fname")),
        *(f"logging.{key}" for key in ("render_during_training", "best_model_fname")),
        *(f"train_parms.{key}" for key in ("restore_optimizer", "lr_scheduler.args.verbose", "early_stopping.verbose")),
        *(f"data_parms.{key}" for key in ("num_workers", "amass_dir", "amass_splits.train", "amass_splits.vald")),
        "data_parms.amass_splits.test",
    ]
)
"""Body, data, folders and pictures: options of `vitruve prior train` say these."""


def read_published(path: Path) -> dict[str, Any]:
    """The nested plain values of a recipe; what the file leaves open is as in the published training."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingAsset(
            f"the recipe cannot be read: {error.strerror}", where=str(path), fix="check the path"
        ) from None
    except UnicodeDecodeError as error:
        raise BadData("the recipe is no text", where=f"{path}: {error}", fix="check the file") from None
    out: dict[str, Any] = {
        "about": "Read from the settings of VPoser's published training.",
        "central": 0.8,
        "fraction": 0.3,
        "weights": {},
        "training": {"batch": 128, "schedule": "plateau", "watch": "mesh_sampled_m"},
    }
    ignored = []
    for key, value in _paths(read_yaml(text, str(path)), path):
        if key in _MEANS:
            table, name = _MEANS[key]
            if value is not None:
                (out[table] if table else out)[name] = value
        elif key in _FIXED:
            if value is not None and value not in _FIXED[key]:
                fix = f"write {_FIXED[key][0]}, or a TOML recipe"
                raise BadData(f"{key} can have no other value here", where=f"{path}: {value!r}", fix=fix)
        else:
            ignored.append(key)
    if ignored:
        out["about"] += f" Without meaning here: {', '.join(ignored)}."
    return out


def _paths(values: Mapping[str, Any], path: Path, above: str = "") -> list[tuple[str, Any]]:
    """Every innermost key by its path; one that is not known is an error."""
    known = [*_MEANS, *_FIXED, *_NO_MEANING]
    out: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{above}{key}"
        inner = any(other.startswith(f"{name}.") for other in known)
        if name not in known and not inner:
            raise BadData(f"unknown key '{name}'", where=str(path), fix=nearest(name, known))
        if isinstance(value, Mapping) and inner:
            out += _paths(value, path, f"{name}.")
        elif inner and value is not None:
            raise BadData(f"{name} holds keys, not a value", where=f"{path}: {value!r}", fix="write its keys below it")
        elif not inner:
            out.append((name, value))
    return out
