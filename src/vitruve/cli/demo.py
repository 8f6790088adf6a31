"""`vitruve demo`: the bundled clip converted from one layout of the open body to another, as a folder with pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import DryRun, Out, Overwrite, Quiet
from vitruve.cli.output import print_place

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
    overwrite: Overwrite = False,
    frames: Annotated[int, Parameter(validator=Number(gte=1, lte=32))] = 8,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Convert a bundled clip between two bodies, with pictures and figures: a first try.

    The clip goes from the open body's SMPL+H layout to its SMPL-X layout, which has another mesh. The folder gets both
    motions, pictures, `report.html` with the distance of the surfaces, `results.json` and `run.toml`. It needs no
    network, no graphics card and no licensed file.

    Examples: `vitruve demo`, `vitruve demo --out walk --frames 12`.

    Args:
        out: the folder to write.
        frames: how many bodies the strip shows.
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
    from vitruve.report.convert_page import figures
    from vitruve.report.convert_pictures import Shown, picture_blocks
    from vitruve.runs import progress_bar, run_folder

    options = {"out": out, "overwrite": overwrite, "frames": frames, "quiet": quiet}
    with run_folder(out, "demo", options, inputs=[clip], overwrite=overwrite) as run:
        motion = vitruve.load_motion(clip)
        bodies = [vitruve.load_body(f"{name}-{motion.gender}") for name in (_SOURCE, _TARGET)]
        clock = time.perf_counter()
        correspondence(*bodies)
        prepare()
        preparation = time.perf_counter() - clock
        with progress_bar("converting", "frames", quiet) as progress:
            clock = time.perf_counter()
            conversion = convert_motion(motion, bodies[1], source=bodies[0], progress=progress)
            seconds = time.perf_counter() - clock
        with progress_bar("drawing", "bodies", quiet) as progress:
            image = strip(conversion.motion, bodies[1], frames, progress=progress)
        source, result = motion_performer(motion, bodies[0]), motion_performer(conversion.motion, bodies[1])
        vitruve.save_motion(motion, run.path / "source.npz")
        vitruve.save_motion(conversion.motion, run.path / "converted.npz")
        save_picture(image, run.path / "strip.png")
        pictures = picture_blocks(Shown(clip.name, source, result, {"worst": conversion.error.worst[0]}))
        overlay = next(block for block in pictures if isinstance(block, Figure))
        save_picture(overlay.image, run.path / "overlay.png")
        results = _results(motion, conversion, seconds, preparation)
        figure = Figure(image, "The result at equal time intervals, each body with its true pose and heading.")
        run.report(_report(results, [figure, *pictures], conversion))
        run.results(results)
        run.note(source=bodies[0].name, target=bodies[1].name)
    if not quiet:
        print(f"From {_SOURCE} to {_TARGET}: {conversion.motion}")
        lines = [f"  {what:<24}{value}" for what, value in [*figures(results), _preparation(results)]]
        print("\n".join(lines), end="\n\n")
        print_place(out)
        print("\nNext, with your own file:", *_NEXT, sep="\n  ")


def _results(motion: Motion, conversion: Conversion, seconds: float, preparation: float) -> dict[str, Any]:
    """The figures, with the keys of `vitruve convert`."""
    return {
        "frames": len(motion),
        "fps": motion.fps,
        "motion_hours": len(motion) / motion.fps / 3600,
        "masked_frames": 0,  # the bundled clip has no gaps
        "failed_frames": int(conversion.failed.sum()),
        "untrusted": int(not conversion.trusted),
        "seconds": seconds,
        "frames_per_second": len(motion) / seconds,
        "stages": dict(conversion.seconds),
        "made_ready_s": preparation,
        "trusted": conversion.trusted,
        "warnings": list(conversion.warnings),
        **conversion.error.as_dict(),
    }


def _preparation(results: dict[str, Any]) -> tuple[str, str]:
    return "preparation before", f"{results['made_ready_s']:.1f} s for the surface map and the solver, which are cached"


def _report(results: dict[str, Any], pictures: list[Block], conversion: Conversion) -> str:
    from vitruve.report.blocks import Heading, Note, Table, made_by, page
    from vitruve.report.convert_page import error_by_part, error_over_time, figures, time_by_stage
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
            Table(("what", "value"), [*figures(results), _preparation(results)]),
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
        made_by("demo"),
    )
