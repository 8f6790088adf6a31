"""`vitruve doctor`: what is installed, which bodies were found and where, what is missing."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from vitruve.cli.options import Json

# extra -> what it unlocks. The packages of each are read from Vitruve's own metadata.
EXTRAS = {
    "cluster": "vitruve convert --cluster ADDRESS: the same work on many machines",
    "view": "vitruve view: motions in a browser",
    "video": "vitruve render to a video file, and over one",
    "usd": "vitruve export to USD",
    "multi-gpu": "vitruve prior train on several GPUs",
    "dev": "the tests, the checks and the benchmark against other body model libraries",
}


def doctor(*, as_json: Json = False) -> None:
    """Show what is installed, which bodies were found, and what is missing.

    Examples: `vitruve doctor`, `vitruve doctor --json`, to send with a question.
    """
    found = examine()
    print(json.dumps(found, indent=2) if as_json else "\n".join(_lines(found)))


def examine() -> dict[str, Any]:
    """Everything `vitruve doctor` reports, as plain data."""
    from vitruve.runs.versions import versions

    return {
        "versions": versions(),
        "device": _device(),
        "extras": {extra: {"unlocks": line, "missing": _missing(extra)} for extra, line in EXTRAS.items()},
        "bodies": _bodies(),
        "folders": _folders(),
    }


def _device() -> dict[str, Any]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(i) for i in range(count)],
        "cuda_build": torch.version.cuda,
    }


def _missing(extra: str) -> list[str]:
    """Packages of an extra that are not installed."""
    from vitruve.runs.versions import package_version

    try:
        required = metadata.requires("vitruve") or []
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        required = []
    lines = [line for line in required if re.search(rf"""extra\s*==\s*['"]{extra}['"]""", line)]
    names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in lines]
    return [name for name in names if not package_version(name)]


def _bodies() -> dict[str, Any]:
    from vitruve.bodies import catalogue, open_body
    from vitruve.errors import VitruveError

    try:
        folders = catalogue.search_folders()
        found = {name: str(path) for name, path in catalogue.find_bodies().items()}
        problem = ""
    except VitruveError as error:  # an invalid config file is reported, and does not end the command
        folders, found, problem = {}, {}, str(error)
    try:
        for layout in ("smplh", "smplx"):
            open_body.open_words(layout)
        ours = [name for name in catalogue.body_names() if name.startswith("open-")]
    except (VitruveError, OSError):
        ours = []
    return {
        "open": ours,
        "found": found,
        "not_found": [name for name in catalogue.body_names() if not name.startswith("open-") and name not in found],
        "looked_in": [{"folder": str(path), "why": why, "exists": path.is_dir()} for path, why in folders.items()],
        "problem": problem,
    }


def _folders() -> dict[str, Any]:
    from vitruve.bodies import catalogue

    config, temporary = catalogue.config_file(), Path(tempfile.gettempdir())
    return {
        "config_file": {"path": str(config), "exists": config.is_file()},
        "temporary": {"path": str(temporary), "writable": os.access(temporary, os.W_OK)},
        "current": {"path": os.getcwd(), "writable": os.access(os.getcwd(), os.W_OK)},
        "python": sys.executable,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    device, folders = found["device"], found["folders"]
    cuda = ", ".join(device["cuda"]) or ("none found" if device["cuda_build"] else "none (torch is built for the CPU)")
    cpu = f"{device['cpu_cores']} cores, torch uses {device['threads']} threads"
    lines = [
        "Versions",
        *_entries(found["versions"]),
        "",
        "Device",
        *_entries({"CPU": cpu, "CUDA": cuda}),
        "",
        "Extras",
    ]
    for extra, state in found["extras"].items():
        missing = ", ".join(state["missing"])
        installed = f"not installed (missing: {missing})" if missing else "installed"
        lines += _entries({extra: f"{installed}; unlocks {state['unlocks']}"})
        if missing:
            lines += _entries({"": f"to install: pip install 'vitruve[{extra}]'"})
    config = folders["config_file"]
    places = {"config file": config["path"] + ("" if config["exists"] else " (does not exist, not needed)")}
    for name in ("temporary", "current"):
        places[name] = folders[name]["path"] + ("" if folders[name]["writable"] else " (NOT writable)")
    places["python"] = folders["python"]
    return [*lines, *_body_lines(found["bodies"]), "", "Folders", *_entries(places)]


def _entries(values: Mapping[str, str]) -> list[str]:
    return [f"  {name:<14}{value}" for name, value in values.items()]


def _body_lines(bodies: dict[str, Any]) -> list[str]:
    ships = f"{len(bodies['open'])} ship with the package: {_grouped(bodies['open'])}"
    open_bodies = ships if bodies["open"] else "the data is missing: install the package again"
    lines = ["", "Bodies", *_entries({"open": open_bodies, **bodies["found"]})]
    if bodies["not_found"]:
        hint = "these are licensed; put them into a folder below, or set VITRUVE_BODIES to yours"
        lines += _entries({"not found": _grouped(bodies["not_found"]), "": hint})
    if bodies["problem"]:
        lines.append("  " + bodies["problem"].replace("\n", "\n  "))
    lines.append("  searched")
    width = max((len(entry["folder"]) for entry in bodies["looked_in"]), default=0)
    for entry in bodies["looked_in"]:
        missing = "" if entry["exists"] else ", does not exist"
        lines.append(f"    {entry['folder']:<{width}}  ({entry['why']}{missing})")
    return lines


def _grouped(names: list[str]) -> str:
    """Names such as smpl-female by their layout: "smpl (neutral, female), mano (left)"."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layout, _, gender = name.rpartition("-")
        groups.setdefault(layout, []).append(gender)
    return ", ".join(f"{layout} ({', '.join(genders)})" for layout, genders in groups.items())
