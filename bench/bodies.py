"""Posing speed against the `smplx` package, on the same files in the same run: python bench/bodies.py

The open body is written in the official SMPL-X layout, once with its own pose correctives and once with dense random
ones (those of licensed files reach most of the skin). Both libraries read that file and pose the same clip. The calls
take turns, and the ratio is that of the medians: seconds depend on the machine and its load, ratios much less.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import smplx
import torch

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.export import export_body
from vitruve.bodies.files import read_body
from vitruve.geometry.rotations import axis_angle_to_matrix


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rate = matrix_rate()
    print(f"{arguments.frames} frames, one shape, SMPL-X layout, float32, {arguments.threads} threads, no gradients")
    print(f"matrix product 2048 x 2048: {rate / 1e9:.0f} GFLOP/s\n")
    results: dict[str, object] = {"frames": arguments.frames, "threads": arguments.threads, "gflops": rate / 1e9}
    for correctives in ("own", "dense"):
        with tempfile.TemporaryDirectory() as folder:
            file = write_model(Path(folder), correctives)
            results[correctives] = compare(file, arguments.frames, arguments.rounds, correctives, rate)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def write_model(folder: Path, correctives: str) -> Path:
    """The open body as an official SMPL-X file; optionally with correctives that reach every vertex."""
    export_body(load_body("open-smplx-neutral"), folder)
    file = folder / "smplx" / "SMPLX_NEUTRAL.npz"
    if correctives == "dense":
        with np.load(file, allow_pickle=True) as archive:
            arrays = dict(archive)
        arrays["posedirs"] = np.random.default_rng(0).normal(size=arrays["posedirs"].shape) * 1e-3
        np.savez(file, **arrays)
    return file


def compare(file: Path, frames: int, rounds: int, correctives: str, rate: float) -> dict[str, float]:
    """Time both libraries on one file and print the comparison."""
    body = read_body(file, num_betas=10)
    reference = smplx.create(
        str(file.parent.parent), "smplx", use_pca=False, flat_hand_mean=True, num_betas=10, batch_size=frames
    )
    generator = torch.Generator().manual_seed(0)
    turns = 0.3 * torch.randn(frames, 55, 3, generator=generator)
    translation, betas = torch.randn(frames, 3, generator=generator), torch.randn(10, generator=generator)
    parts = {
        "global_orient": turns[:, 0],
        "jaw_pose": turns[:, 22],
        "leye_pose": turns[:, 23],
        "reye_pose": turns[:, 24],
    }
    for name, start, stop in (("body_pose", 1, 22), ("left_hand_pose", 25, 40), ("right_hand_pose", 40, 55)):
        parts[name] = turns[:, start:stop].flatten(1)
    parts |= {"transl": translation, "betas": betas.expand(frames, -1), "expression": torch.zeros(frames, 10)}

    calls: dict[str, Callable[[], torch.Tensor]] = {
        "smplx (vertices and joints)": lambda: reference(**parts).vertices,
        "vitruve vertices": lambda: body.shaped(betas).vertices(axis_angle_to_matrix(turns), translation),
        "vitruve joints": lambda: body.shaped(betas).joints(axis_angle_to_matrix(turns), translation),
    }
    with torch.inference_mode():
        difference = (calls["smplx (vertices and joints)"]() - calls["vitruve vertices"]()).abs().max().item()
        seconds = interleaved(calls, rounds)
    theirs, ours, joints = (float(np.median(times)) for times in seconds.values())
    flops, moved = work(body, frames)
    print(f"correctives: {correctives}; largest difference {difference:.1e} m")
    for (name, times), (flop, byte) in zip(seconds.items(), (work_smplx(frames), (flops, moved), (None, None))):
        counted = "" if flop is None else f"{flop / 1e9:7.1f} GFLOP {byte / 1e9:6.2f} GB"
        print(f"  {name:28s} {1e3 * np.median(times):8.1f} ms {frames / np.median(times):9.0f} frames/s  {counted}")
    print(f"  ratio, vertices: {theirs / ours:.1f}   ratio, joints alone: {theirs / joints:.0f}")
    print(f"  our vertices run at {100 * flops / ours / rate:.0f} % of the matrix rate\n")
    return {
        "smplx_ms": 1e3 * theirs,
        "vertices_ms": 1e3 * ours,
        "joints_ms": 1e3 * joints,
        "ratio_vertices": theirs / ours,
        "ratio_joints": theirs / joints,
        "share_of_matrix_rate": flops / ours / rate,
        "max_difference_m": difference,
    }


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds per call; the calls take turns, so that a busy moment hits all of them. The first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def matrix_rate() -> float:
    """Floating-point operations a second of a large float32 matrix product: the best of several."""
    a = torch.randn(2048, 2048)
    best = min(_timed(lambda: a @ a) for _ in range(8))
    return 2 * 2048**3 / best


def work(body: BodyModel, frames: int) -> tuple[float, float]:
    """Operations and bytes of our vertices: correctives, blending, application; each array read and written once."""
    multiplications, entries = 0, 0
    for part in body.skin().parts:
        n = len(part.vertices)
        multiplications += 3 * n * len(part.features) + 12 * n * len(part.joints) + 9 * n
        entries += part.pose_basis.numel() + part.weights.numel()
    bytes_moved = 4 * (entries * -(-frames // 128) + frames * body.num_vertices * 3 * 3)
    return 2.0 * multiplications * frames, float(bytes_moved)


def work_smplx(frames: int, vertices: int = 10475, joints: int = 55, shapes: int = 20) -> tuple[float, float]:
    """The same for the smplx package: shape and expression for every frame, dense correctives, dense 4 x 4 blending."""
    per_vertex = 3 * shapes + 3 * 9 * (joints - 1) + 16 * joints + 16
    per_frame_floats = vertices * (3 * 4 + joints + 16 * 2 + 4 * 2 + 3)  # each intermediate written and read
    bytes_moved = 4 * (3 * vertices * 9 * (joints - 1) + frames * per_frame_floats)
    return 2.0 * frames * (vertices * per_vertex + joints * vertices * 3), float(bytes_moved)


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
