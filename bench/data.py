"""How fast a clip store is prepared, beside the preparation that VPoser was published with; its memory; how fast rows
and windows of it are read.

    python bench/data.py [--files 2000] [--frames 500] [--sets 11] [--compressed]

Generates a data set in AMASS's SMPL+H layout in a temporary folder, and deletes it. The published preparation is
written anew here from a description of what it does: for every clip it loads `poses` twice, draws 30 % of the central
80 % of the frames, keeps them in memory, and saves one file at the end. Its loop over the clips stands inside the one
over the sets and goes over all clips so far, so that the first of k sets is read k times; it is timed so, and with that
mended. Times are those of one processor core; the best of three.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=500, help="of a clip, on average")
    parser.add_argument("--sets", type=int, default=11)
    parser.add_argument("--compressed", action="store_true", help="deflate the npz files, as np.savez_compressed does")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(_part(*args.part)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as room:
        data = Path(room) / "amass"
        frames = generate(data, args.files, args.frames, args.sets, args.compressed)
        size = sum(file.stat().st_size for file in data.rglob("*.npz"))
        print(f"{args.files} files, {args.sets} sets, {frames:,} frames, {size / 1e9:.2f} GB")
        rows = {}
        for part in ("published", "published-mended", "ours"):
            runs = [_in_process(part, data, Path(room) / f"{part}{i}") for i in range(REPEATS)]
            rows[part] = min(runs, key=lambda run: run["seconds"])
            _tell(part, rows[part])
        ours = rows["ours"]
        for part in ("published", "published-mended"):
            other = rows[part]
            kept = ours["unique"] / ours["seconds"] / (other["unique"] / other["seconds"])
            read = ours["read"] / ours["seconds"] / (other["read"] / other["seconds"])
            print(f"against {part}: {kept:.1f} times the frames made ready a second, {read:.1f} times the frames read")
        read_speed(Path(room) / "ours0")
        window_speed(Path(room) / "ours0")


def generate(folder: Path, files: int, frames: int, sets: int, compressed: bool) -> int:
    """Write clips with smooth random rotations; how many frames they have in all."""
    generator = np.random.default_rng(0)
    longest = 2 * frames
    poses = np.cumsum(generator.normal(scale=0.02, size=(longest, 156)), 0)
    other = {"dmpls": generator.normal(size=(longest, 8)), "trans": np.cumsum(generator.normal(size=(longest, 3)), 0)}
    total, save = 0, np.savez_compressed if compressed else np.savez
    for i in range(files):
        count = int(generator.integers(frames // 2, frames * 3 // 2))
        place = folder / f"Set{i % sets:02d}" / f"subject{i // sets % 20:02d}" / f"clip{i:05d}_poses.npz"
        place.parent.mkdir(parents=True, exist_ok=True)
        arrays = {key: value[:count] for key, value in other.items()}
        save(
            place,
            poses=poses[:count] + generator.normal(scale=0.3, size=156),
            gender="female",
            mocap_framerate=120.0,
            betas=generator.normal(size=16),
            **arrays,
        )
        total += count
    return total


def published(data: Path, out: Path, mended: bool) -> dict[str, float]:
    """The published preparation as described in facts about it: VPoser's own sampling, in memory, one file."""
    import torch

    out.mkdir(parents=True)
    names: list[str] = []
    bodies, roots, read = [], [], 0
    for place in sorted(data.iterdir()):
        found = sorted(map(str, place.glob("*/*_poses.npz")))
        names = found if mended else names + found
        for name in names:
            clip = np.load(name)
            count = len(clip["poses"])
            chosen = np.random.choice(list(range(int(0.1 * count), int(0.9 * count))), int(0.3 * 0.8 * count), False)
            drawn = clip["poses"][chosen].astype(np.float32)
            bodies.append(drawn[:, 3:66])
            roots.append(drawn[:, :3])
            read += count
    torch.save(torch.from_numpy(np.concatenate(bodies)), out / "pose_body.pt")
    torch.save(torch.from_numpy(np.concatenate(roots)), out / "root_orient.pt")
    return {"written": sum(map(len, bodies)), "read": read}


def ours(data: Path, out: Path) -> dict[str, float]:
    from vitruve.data.prepare import prepare

    frames = prepare([data], out).frames
    return {"written": frames, "unique": frames, "read": frames}


def _part(part: str, data: str, out: str) -> dict[str, float]:
    import resource

    import torch

    torch.set_num_threads(1)
    if part == "ours":
        from vitruve.data.prepare import prepare  # noqa: F401 (loading is not timed)
        from vitruve.data.read_arrays import prepare_kernels

        prepare_kernels()
    before, clock = time.process_time(), time.perf_counter()
    counts = ours(Path(data), Path(out)) if part == "ours" else published(Path(data), Path(out), "mended" in part)
    wall, seconds = time.perf_counter() - clock, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    if part != "ours":
        sizes = (len(np.load(file)["poses"]) for file in Path(data).rglob("*_poses.npz"))
        counts["unique"] = sum(int(0.3 * 0.8 * count) for count in sizes)
    return {**counts, "seconds": seconds, "wall": wall, "peak_mb": peak}


def _in_process(part: str, data: Path, out: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, str(data), str(out)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def _tell(part: str, row: dict[str, float]) -> None:
    print(
        f"{part:18s} {row['seconds']:6.2f} s of processor, {row['wall']:6.2f} s; read {row['read']:,}, wrote "
        f"{row['written']:,}, of them different {row['unique']:,}; {row['unique'] / row['seconds']:,.0f} frames made "
        f"ready a second; {row['peak_mb']:.0f} MB at most"
    )


def read_speed(path: Path, batch: int = 512) -> None:
    """Random rows of the body, in batches as training takes them."""
    from vitruve.data import open_store

    store, generator = open_store(path), np.random.default_rng(0)
    batches = [generator.integers(0, len(store), batch) for _ in range(400)]
    for rows in batches:
        store.body(rows)
    times = []
    for _ in range(10):
        clock = time.process_time()
        for rows in batches:
            store.body(rows)
        times.append(time.process_time() - clock)
    seconds = min(times) / len(batches)
    shards = len(list(path.glob("*/*/clips.jsonl")))
    print(f"batches of {batch} random rows from {shards} shards: {batch / seconds:,.0f} rows/s, {1e3 * seconds:.3f} ms")


def window_speed(path: Path, batch: int = 256, length: int = 128) -> None:
    """Random windows with the body's fields, of clips at 120 fps: where the rates divide, and where they do not."""
    from vitruve.data import make_windows, open_store

    store, generator = open_store(path), np.random.default_rng(0)
    for fps in (30.0, 50.0):
        for fields in (("root", "body", "translation"), ("root", "body", "hands", "translation")):
            for frame in (None, 0):
                windows = make_windows(store, length, fps, hop=length // 2, fields=fields, canonical_frame=frame)
                rows = generator.integers(0, len(windows), batch)
                times = []
                for _ in range(6):  # the first one brings pages into memory
                    clock = time.process_time()
                    windows.fetch(rows)
                    times.append(time.process_time() - clock)
                how = f"{fps:g} fps, {'with' if 'hands' in fields else 'without'} hands"
                how += ", canonical" if frame == 0 else ""
                print(f"{batch} windows of {length} frames at {how}: {batch / min(times):,.0f} a second")


if __name__ == "__main__":
    main()
