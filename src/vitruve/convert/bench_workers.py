"""The processes of the conversion benchmark: one per method, ready to convert one case repeatedly.

Every method reads the motion file, fits shape and rotations, and writes an npz with `poses`, `trans` and `betas`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vitruve.bodies import BodyModel, load_body
from vitruve.convert.convert import convert_motion
from vitruve.fit.conversion import Stopwatch
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
        folder: of all files; `body_models` below it is laid out for smplfitter.
        source, target: model files.
        genders, num_betas: of the source and the target.
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
    """A way to convert: ours, or smplfitter on a backend ("pt" torch, "nb" numba) with some iterations."""

    name: str
    backend: str = ""
    iterations: int = 1
    rounds: int | None = None


def load_bodies(case: Case) -> tuple[BodyModel, BodyModel]:
    """The bodies of a case, read from its files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unused shape columns are intended here
        source = load_body(case.source, num_betas=case.num_betas[0])
        return source, load_body(case.target, num_betas=case.num_betas[1])


class Worker:
    """A process that is ready to convert one case by one method."""

    def __init__(self, case: Case, method: Method, threads: int) -> None:
        started = time.time()
        with _environment(dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))):
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            try:
                self.before: dict[str, float] = self._pool.submit(_prepare, case, method, threads, started).result()
            except BaseException:
                self.close()
                raise

    def run(self, out: Path, frames: int | None = None) -> tuple[float, float, float]:
        """(wall seconds, CPU seconds, peak megabytes so far) of one conversion."""
        return self._pool.submit(_convert, out, frames).result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for child processes."""
    old = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# State of the worker process between calls.
_state: dict[str, Convert] = {}


def _prepare(case: Case, method: Method, threads: int, started: float) -> dict[str, float]:
    """In the worker: import, load bodies, warm up. Seconds of each."""
    torch.set_num_threads(threads)
    imported, watch = time.time() - started, Stopwatch()
    _state["convert"] = _peer(case, method) if method.backend else _ours(case)
    watch.lap("bodies")
    _convert(case.folder / f"warm_up_{method.backend or 'ours'}.npz", PEER_BATCH if method.backend else None)
    watch.lap("first conversion")
    return {"start and import": imported, **watch.seconds}


def _convert(out: Path, frames: int | None) -> tuple[float, float, float]:
    out.unlink(missing_ok=True)
    wall, cpu = time.perf_counter(), time.process_time()
    _state["convert"](out, frames)
    return time.perf_counter() - wall, time.process_time() - cpu, _peak_mb()


def _peak_mb() -> float:
    """Peak memory of this process so far, megabytes; NaN if unknown."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would include the memory of the parent when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    if sys.platform == "win32":
        return float("nan")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _ours(case: Case) -> Convert:
    source, target = load_bodies(case)

    def convert(out: Path, frames: int | None) -> None:
        save_motion(convert_motion(load_motion(case.motion)[:frames], target, source=source).motion, out)

    return convert


def _peer(case: Case, method: Method) -> Convert:
    """smplfitter's own converter with its defaults, in batches; one shape per frame."""
    models = case.folder / "body_models"
    os.environ["SMPLFITTER_BODY_MODELS"] = str(models)
    library = importlib.import_module(f"smplfitter.{method.backend}")
    bodies = []
    for path, gender, betas in zip((case.source, case.target), case.genders, case.num_betas):
        root = models / path.relative_to(models).parts[0]
        bodies.append(library.BodyModel(root.name, gender, model_root=str(root), num_betas=betas))
    converter = library.BodyConverter(*bodies)
    to_array = torch.from_numpy if method.backend == "pt" else np.asarray

    def convert(out: Path, frames: int | None) -> None:
        with np.load(case.motion) as file:
            poses, trans, own = (file[key].astype(np.float32) for key in ("poses", "trans", "betas"))
        betas = np.zeros(case.num_betas[0], np.float32)
        betas[: len(own)] = own[: case.num_betas[0]]
        parts = []
        for first in range(0, len(poses[:frames]), PEER_BATCH):
            batch = poses[:frames][first : first + PEER_BATCH]
            inputs = batch, np.tile(betas, (len(batch), 1)), trans[first : first + len(batch)]
            with torch.inference_mode():
                parts.append(converter.convert(*map(to_array, inputs), num_iter=method.iterations))
        names = {"poses": "pose_rotvecs", "betas": "shape_betas", "trans": "trans"}
        joined = {key: np.concatenate([np.asarray(part[name]) for part in parts]) for key, name in names.items()}
        np.savez(out, poses=joined["poses"], betas=joined["betas"], trans=joined["trans"])

    return convert
