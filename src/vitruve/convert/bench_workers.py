"""The processes of the conversion benchmark: one for each method, ready to convert one case again and again.

A process of its own makes a method's start, import, loading of bodies and peak memory its own. What a conversion does
is the same for all: read the motion file, find shape and rotations, write an npz with `poses`, `trans` and `betas`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitruve.bodies import BodyModel, load_body
from vitruve.convert.convert import convert_motion
from vitruve.formats import load_motion, save_motion

# smplfitter's names of the layouts, and its file names below a folder of that name.
PEER_FILES = {
    "smpl": ("smpl", "basicmodel_{g}_lbs_10_207_0_v1.1.0.pkl"),
    "smplh": ("smplh16", "{gender}/model.npz"),
    "smplx": ("smplx", "SMPLX_{GENDER}.npz"),
}
PEER_BATCH = 64

Convert = Callable[[Path, int | None], None]


@dataclass(frozen=True)
class Case:
    """Two model files and a motion file, which every method reads.

    Attributes:
        name: for the table.
        folder: where all lies; below `body_models` the way smplfitter looks for it.
        source, target: model files.
        genders: of the source and the target.
        num_betas: how many shape columns of each count.
        motion: the clip on the source body.
    """

    name: str
    folder: Path
    source: Path
    target: Path
    genders: tuple[str, str]
    num_betas: tuple[int, int]
    motion: Path


@dataclass(frozen=True)
class Method:
    """One way to convert: ours, or smplfitter on a backend ("pt" torch, "nb" numba) with some iterations."""

    name: str
    backend: str = ""
    iterations: int = 1
    rounds: int | None = None


def load_bodies(case: Case) -> tuple[BodyModel, BodyModel]:
    """The bodies of a case, read from its files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that not all shape columns of a file are used is meant here
        return (
            load_body(case.source, num_betas=case.num_betas[0]),
            load_body(case.target, num_betas=case.num_betas[1]),
        )


class Worker:
    """A process that is ready to convert one case by one method."""

    def __init__(self, case: Case, method: Method, threads: int) -> None:
        began = time.time()
        with _threads_of_children(threads):
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            ready = self._pool.submit(_prepare, case, method, threads, began)
            try:
                self.before: dict[str, float] = ready.result()
            except BaseException:
                self.close()
                raise

    def run(self, out: Path, frames: int | None = None) -> tuple[float, float, float]:
        """(wall seconds, processor seconds, peak megabytes so far) of one conversion."""
        return self._pool.submit(_convert, out, frames).result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    old = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# What the process of a worker holds between calls.
_ready: dict[str, Convert] = {}


def _prepare(case: Case, method: Method, threads: int, began: float) -> dict[str, float]:
    """In the worker: import, load bodies, warm up. Seconds of each."""
    torch.set_num_threads(threads)
    laps = {"start and import": time.time() - began}
    at = time.perf_counter()
    convert = _ours(case) if not method.backend else _peer(case, method)
    laps["bodies"] = time.perf_counter() - at
    at = time.perf_counter()
    convert(case.folder / f"warm_up_{method.backend or 'ours'}.npz", PEER_BATCH if method.backend else None)
    laps["first conversion"] = time.perf_counter() - at
    _ready["convert"] = convert
    return laps


def _convert(out: Path, frames: int | None) -> tuple[float, float, float]:
    out.unlink(missing_ok=True)
    wall, cpu = time.perf_counter(), time.process_time()
    _ready["convert"](out, frames)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, _peak_mb()


def _peak_mb() -> float:
    """Peak memory of this process so far, megabytes; not a number where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    if sys.platform == "win32":
        return float("nan")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _ours(case: Case) -> Convert:
    source, target = load_bodies(case)

    def convert(out: Path, frames: int | None) -> None:
        motion = load_motion(case.motion)
        result = convert_motion(motion if frames is None else motion[:frames], target, source=source)
        save_motion(result.motion, out)

    return convert


def _peer(case: Case, method: Method) -> Convert:
    """smplfitter's own converter, in batches, with its defaults; one shape a frame, as it gives them."""
    models = case.folder / "body_models"
    os.environ["SMPLFITTER_BODY_MODELS"] = str(models)
    library = importlib.import_module(f"smplfitter.{method.backend}")
    bodies = []
    for path, gender, betas in zip((case.source, case.target), case.genders, case.num_betas):
        root = models / path.relative_to(models).parts[0]
        bodies.append(library.BodyModel(root.name, gender, model_root=str(root), num_betas=betas))
    converter = library.BodyConverter(*bodies)
    is_torch = method.backend == "pt"

    def convert(out: Path, frames: int | None) -> None:
        with np.load(case.motion) as file:
            clip = {key: file[key].astype(np.float32) for key in ("poses", "trans", "betas")}
        betas = np.zeros(case.num_betas[0], np.float32)
        betas[: len(clip["betas"])] = clip["betas"][: case.num_betas[0]]
        parts: list[Mapping[str, Any]] = []
        count = min(len(clip["poses"]), len(clip["poses"]) if frames is None else frames)
        for start in range(0, count, PEER_BATCH):
            rows = slice(start, min(start + PEER_BATCH, count))
            inputs = clip["poses"][rows], np.tile(betas, (rows.stop - start, 1)), clip["trans"][rows]
            if is_torch:
                inputs = tuple(torch.from_numpy(value) for value in inputs)
            with torch.inference_mode():
                parts.append(converter.convert(*inputs, num_iter=method.iterations))
        names = {"poses": "pose_rotvecs", "betas": "shape_betas", "trans": "trans"}
        joined = {key: np.concatenate([np.asarray(part[name]) for part in parts]) for key, name in names.items()}
        np.savez(out, poses=joined["poses"], betas=joined["betas"], trans=joined["trans"])

    return convert
