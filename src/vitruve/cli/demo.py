"""`vitruve demo`: the bundled clip converted from one layout of the open body to another, as a folder with pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import Out

if TYPE_CHECKING:
    from vitruve import Motion
    from vitruve.convert import Conversion
    from vitruve.report.blocks import Block

_SOURCE, _TARGET = "open-smplh", "open-smplx"
_FILES = {
    "source.npz": "the motion on SMPL+H's joints, in AMASS's layout",
    "converted.npz": "the same motion on SMPL-X's joints; AMASS readers and the SMPL-X Blender add-on load it",
    "strip.png": "the result at equal time intervals",
    "overlay.png": "source and result in one place",
    "report.html": "this page",
    "results.json": "the numbers above",
    "run.toml": "options, versions and the hash of the input",
}
_NEXT = (
    "vitruve info YOUR_FILE.npz                    what it is, and what is odd about it",
    "vitruve convert YOUR_FILE.npz --to smplx      the same with your file; your licensed bodies are used if found",
    "vitruve bodies list                           the bodies on this machine",
)
_PYTHON = """import vitruve
motion = vitruve.load_motion("YOUR_FILE.npz")
conversion = vitruve.convert_motion(motion, to="smplx")
print(conversion.error.mean, "mm", conversion.warnings)
conversion.motion.save("converted.npz")"""


def demo(
    *,
    out: Out = Path("vitruve-demo"),
    overwrite: bool = False,
    frames: Annotated[int, Parameter(validator=Number(gte=1, lte=32))] = 8,
    quiet: bool = False,
    dry_run: bool = False,
) -> None:
    """Try the main job at once: a bundled clip goes from SMPL+H's layout to SMPL-X's, with pictures and figures.

    Reads a clip that ships with the package, converts it from the open body's SMPL+H layout to its SMPL-X layout, which
    has another mesh, measures how far the surfaces are apart, and writes a folder with both motions, pictures,
    `report.html`, `results.json` and `run.toml`. It needs no network, no graphics card and no licensed file.

    Examples: `vitruve demo`, `vitruve demo --out walk --frames 12`.

    Args:
        out: the folder to write.
        overwrite: replace the folder of an earlier run.
        frames: how many bodies the strip shows.
        quiet: show no progress and no summary.
        dry_run: say what would be read and written, and stop.
    """
    from vitruve.runs.folder import check_out

    check_out(out, "demo", overwrite)  # before anything slow
    from vitruve.motion.clips import bundled_clip_path

    clip = bundled_clip_path()
    if dry_run:
        print(f"would read   {clip}\nwould write  {', '.join(str(out / name) for name in _FILES)}")
        return
    import vitruve
    from vitruve.convert import convert_motion
    from vitruve.correspondence.body_maps import correspondence
    from vitruve.draw import save_picture, strip
    from vitruve.fit import prepare
    from vitruve.motion.performer import motion_performer
    from vitruve.report import Figure
    from vitruve.report.convert_pictures import Shown, picture_blocks
    from vitruve.runs import progress_bar, run_folder

    options = {"out": out, "overwrite": overwrite, "frames": frames, "quiet": quiet}
    with run_folder(out, "demo", options, inputs=[clip], overwrite=overwrite) as run:
        motion = vitruve.load_motion(clip)
        bodies = [vitruve.load_body(f"{name}-{motion.gender}") for name in (_SOURCE, _TARGET)]
        clock = time.perf_counter()
        correspondence(*bodies)
        prepare()
        made_ready = time.perf_counter() - clock
        with progress_bar("converting", "frames", quiet) as progress:
            clock = time.perf_counter()
            conversion = convert_motion(motion, bodies[1], source=bodies[0], progress=progress)
            seconds = time.perf_counter() - clock
        with progress_bar("drawing", "bodies", quiet) as progress:
            image = strip(conversion.motion, bodies[1], frames, progress=progress)
        worst = {"worst": conversion.error.worst[0]}
        source, result = motion_performer(motion, bodies[0]), motion_performer(conversion.motion, bodies[1])
        shown = Shown(clip.name, source, result, worst)
        vitruve.save_motion(motion, run.path / "source.npz")
        vitruve.save_motion(conversion.motion, run.path / "converted.npz")
        save_picture(image, run.path / "strip.png")
        pictures = picture_blocks(shown)
        together = next(block for block in pictures if isinstance(block, Figure))
        save_picture(together.image, run.path / "overlay.png")
        results = _results(motion, conversion, seconds, made_ready)
        whole = Figure(image, "The result at equal time intervals, each body with its true pose and heading.")
        run.report(_report(results, [whole, *pictures], conversion))
        run.results(results)
        run.note(source=bodies[0].name, target=bodies[1].name)
    if not quiet:
        print(_summary(out, conversion, results))


def _results(motion: Motion, conversion: Conversion, seconds: float, made_ready: float) -> dict[str, Any]:
    """What the demo reports, with the keys of `vitruve convert`."""
    return {
        "frames": len(motion),
        "fps": motion.fps,
        "seconds": seconds,
        "frames_per_second": len(motion) / seconds,
        "stages": dict(conversion.seconds),
        "made_ready_s": made_ready,
        "trusted": conversion.trusted,
        "warnings": list(conversion.warnings),
        **conversion.error.as_dict(),
    }


def _rows(results: dict[str, Any]) -> list[tuple[str, str]]:
    error = results["error_mm"]
    length = results["frames"] / results["fps"]
    return [
        ("length", f"{results['frames']} frames at {results['fps']:g} fps = {length:.1f} s"),
        ("converted at", f"{results['frames_per_second']:,.0f} frames/s"),
        ("made ready before", f"{results['made_ready_s']:.1f} s: the surface map and the solver, which are kept"),
        ("mean error", f"{error['mean']:.2f} mm"),
        ("95 % are below", f"{error['p95']:.2f} mm"),
        ("largest error", f"{error['max']:.1f} mm"),
        ("of it the surface map", f"{results['map_residual_mm']:.2f} mm"),
        ("jitter added", f"{results['jitter_mm']:.4f} mm a frame squared"),
    ]


def _report(results: dict[str, Any], pictures: list[Block], conversion: Conversion) -> str:
    import vitruve
    from vitruve.report.blocks import Heading, Note, Table, page
    from vitruve.report.convert_page import error_by_part, error_over_time, time_by_stage
    from vitruve.report.credits import credits

    curve = {"frames": results["frames"], "curve": conversion.error.curve()}
    return page(
        "Vitruve: a clip from one body to another",
        [
            Note(
                "A clip made on the open body's SMPL+H layout (6,890 vertices, 52 joints) now moves its SMPL-X layout "
                "(10,475 vertices, 55 joints): one shape for the clip, the same movement, the same hands."
            ),
            *(Note(warning, "warning") for warning in conversion.warnings),
            Heading("Measured"),
            Table(("what", "value"), _rows(results)),
            *pictures,
            *error_over_time(curve),
            *error_by_part(results["error_mm"]["groups"]),
            *time_by_stage(results["stages"]),
            Heading("In this folder"),
            Table(("file", "what it is"), list(_FILES.items())),
            Heading("Next, with your own file"),
            Note("\n".join(_NEXT), "code"),
            Note("In Python:"),
            Note(_PYTHON, "code"),
            *credits([f"{name}-neutral" for name in (_SOURCE, _TARGET)], also=["clip"]),
        ],
        footer=f"Made by vitruve {vitruve.__version__}: vitruve demo",
    )


def _summary(out: Path, conversion: Conversion, results: dict[str, Any]) -> str:
    lines = [f"From {_SOURCE} to {_TARGET}: {conversion.motion}"]
    lines += [f"  {what:<22}{value}" for what, value in _rows(results)]
    lines += ["", f"Written to {out}/; open {out / 'report.html'} in a browser.", "", "Next, with your own file:"]
    return "\n".join([*lines, *(f"  {line}" for line in _NEXT)])
