"""Converts the YAML file of VPoser's published training to a recipe. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitruve.errors import BadData, nearest
from vitruve.priors.plain_yaml import read_yaml
from vitruve.priors.recipe import unreadable

# YAML key -> table and key of a recipe
_KEYS: dict[str, tuple[str, str]] = {
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
# Keys with only one supported value.
_FIXED: dict[str, tuple[Any, ...]] = {
    "train_parms.gen_optimizer.type": ("Adam",),
    "train_parms.lr_scheduler.type": ("ReduceLROnPlateau",),
    "train_parms.lr_scheduler.args.factor": (0.1,),
    "train_parms.early_stopping.monitor": ("val_loss",),
    "train_parms.early_stopping.min_delta": (0,),
    "train_parms.early_stopping.mode": ("min",),
    "data_parms.num_timeseq_frames": (1,),
}
# Ignored keys: options of `vitruve prior train` set the body, the data, folders and pictures.
_IGNORED = frozenset(
    f"{table}.{key}"
    for table, keys in {
        "body_model": "gender bm_path bm_fname",
        "general": "verbosity expr_id dataset_id work_basedir dataset_basedir",
        "logging": "expr_msg num_bodies_to_display work_dir dataset_dir log_fname best_model_fname "
        "render_during_training",
        "train_parms": "restore_optimizer lr_scheduler.args.verbose early_stopping.verbose",
        "data_parms": "num_workers amass_dir amass_splits.train amass_splits.vald amass_splits.test",
    }.items()
    for key in keys.split()
)


def read_published(path: Path) -> dict[str, Any]:
    """The nested plain values of a recipe, with the published defaults."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError as error:
        raise BadData("the recipe is not a text file", where=f"{path}: {error}", fix="check the file") from None
    out: dict[str, Any] = {
        "about": "Read from the settings of VPoser's published training.",
        "central": 0.8,
        "fraction": 0.3,
        "weights": {},
        "training": {"batch": 128, "schedule": "plateau", "watch": "mesh_sampled_m"},
    }
    ignored = []
    for key, value in _paths(read_yaml(text, str(path)), path):
        if key in _KEYS:
            table, name = _KEYS[key]
            if value is not None:
                (out[table] if table else out)[name] = value
        elif key in _FIXED:
            if value is not None and value not in _FIXED[key]:
                fix = f"write {_FIXED[key][0]}, or a TOML recipe"
                raise BadData(f"{key} has an unsupported value", where=f"{path}: {value!r}", fix=fix)
        else:
            ignored.append(key)
    if ignored:
        out["about"] += f" Ignored: {', '.join(ignored)}."
    return out


def _paths(values: Mapping[str, Any], path: Path, above: str = "") -> list[tuple[str, Any]]:
    """The innermost keys by path, with their values."""
    known = [*_KEYS, *_FIXED, *_IGNORED]
    out: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{above}{key}"
        inner = any(other.startswith(f"{name}.") for other in known)
        if name not in known and not inner:
            raise BadData(f"unknown key '{name}'", where=str(path), fix=nearest(name, known))
        if isinstance(value, Mapping) and inner:
            out += _paths(value, path, f"{name}.")
        elif inner and value is not None:
            raise BadData(f"{name} is a table, not a value", where=f"{path}: {value!r}", fix="write its keys below it")
        elif not inner:
            out.append((name, value))
    return out
