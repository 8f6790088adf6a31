"""`vitruve demo`: the bundled clip on the open body, as a folder with pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

if TYPE_CHECKING:
    from PIL.Image import Image

    from vitruve import BodyModel, Motion

_FILES = {
    "motion.npz": "the motion in AMASS's layout; try: vitruve info motion.npz",
    "strip.png": "the picture above",
    "report.html": "this page",
    "results.json": "the numbers above",
    "run.toml": "options, versions and the hash of the input",
}
# The vertices of so many frames say how fast it is; the demo should not take longer than it must.
_POSED_FRAMES = 150
_NEXT = (
    "vitruve info YOUR_FILE.npz   what it is, and what is odd about it",
    "vitruve bodies list          the bodies on this machine",
    "vitruve doctor               what is installed, and what is missing",
)
_PYTHON = """import vitruve
motion = vitruve.load_motion("YOUR_FILE.npz")
body = vitruve.load_body("open-smplh-neutral")
vertices = motion.vertices(body)  # [frames, vertices, 3], metres, z up"""


def demo(
    *,
    out: Path = Path("vitruve-demo"),
    overwrite: bool = False,
    frames: Annotated[int, Parameter(validator=Number(gte=1, lte=32))] = 8,
    quiet: bool = False,
    dry_run: bool = False,
) -> None:
    """Try everything at once: a bundled clip on the open body, with pictures.

    Reads a clip that ships with the package, poses the open body with it, measures it, and writes a folder with
    `motion.npz` (AMASS's layout), `strip.png`, `report.html`, `results.json` and `run.toml`. It needs no network, no
    graphics card and no licensed file.

    Examples: `vitruve demo`, `vitruve demo --out walk --frames 12`.

    Args:
        out: the folder to write.
        overwrite: replace the folder of an earlier run.
        frames: how many bodies the strip shows.
        quiet: show no progress and no summary.
        dry_run: say what would be read and written, and stop.
    """
    from vitruve.runs.run_folder import check_out

    check_out(out, overwrite)  # before anything slow
    from vitruve.motion.clips import bundled_clip_path

    clip = bundled_clip_path()
    if dry_run:
        print(f"would read   {clip}\nwould write  {', '.join(str(out / name) for name in _FILES)}")
        return
    import vitruve
    from vitruve.runs import progress_bar, run_folder
    from vitruve.view import save_picture, strip

    options = {"out": out, "overwrite": overwrite, "frames": frames, "quiet": quiet}
    with run_folder(out, "demo", options, inputs=[clip], overwrite=overwrite) as run:
        motion = vitruve.load_motion(clip)
        body = vitruve.load_body(f"open-smplh-{motion.gender}")
        measured = measure(motion, body)
        with progress_bar("drawing", "bodies", quiet) as progress:
            image = strip(motion, body, frames, progress=progress)
        vitruve.save_motion(motion, run.path / "motion.npz")
        save_picture(image, run.path / "strip.png")
        (run.path / "report.html").write_text(_report(motion, body, image, measured), encoding="utf-8")
        run.results(measured)
        run.note(body=body.name)
    if not quiet:
        print(_summary(out, motion, body, measured))


def measure(motion: Motion, body: BodyModel) -> dict[str, float | int | str]:
    """What the demo reports about a motion on a body, units in the keys."""
    from vitruve.motion.features import foot_contacts, ground_speed

    some = motion[:: max(1, len(motion) // _POSED_FRAMES)]
    clock = time.perf_counter()
    motion.joints(body)
    joints_done = time.perf_counter()
    vertices = some.vertices(body)
    vertices_done = time.perf_counter()
    rest = body.shaped(motion.betas).rest_vertices
    contacts = foot_contacts(motion, body)
    return {
        "body": body.name,
        "frames": len(motion),
        "fps": motion.fps,
        "duration_s": motion.duration,
        "height_m": float(rest[:, 1].max() - rest[:, 1].min()),
        "walked_m": float(ground_speed(motion).nan_to_num().sum() / motion.fps),
        "lowest_point_m": float(vertices[..., 2].min()),
        "standing_share": float(contacts.any(-1).float().mean()),
        "joints_frames_per_s": len(motion) / (joints_done - clock),
        "vertices_frames_per_s": len(some) / (vertices_done - joints_done),
    }


def _report(motion: Motion, body: BodyModel, image: Image, measured: dict[str, float | int | str]) -> str:
    import vitruve
    from vitruve.view import Figure, Heading, Note, Table, page

    last = (len(motion) - 1) / motion.fps
    return page(
        "Vitruve: a bundled clip on the open body",
        [
            Note(
                f"{motion.duration:.0f} seconds of motion on {len(motion.skeleton)} joints, posed on the body "
                f"'{body.name}' ({body.num_vertices:,} vertices) that ships with the package."
            ),
            Figure(
                image, f"Bodies at equal time intervals from 0 to {last:.1f} s, each with its true pose and heading."
            ),
            Heading("Measured"),
            Table(("what", "value"), _rows(measured)),
            Heading("In this folder"),
            Table(("file", "what it is"), list(_FILES.items())),
            Heading("Next, with your own file"),
            Note("\n".join(_NEXT), "code"),
            Note("In Python:"),
            Note(_PYTHON, "code"),
            Heading("Licences"),
            Note(f"Body: {body.licence}.\nClip: made by code from published gait curves, CC0-1.0."),
        ],
        footer=f"Made by vitruve {vitruve.__version__}: vitruve demo",
    )


def _rows(measured: dict[str, float | int | str]) -> list[tuple[str, str]]:
    return [
        ("length", f"{measured['frames']} frames at {measured['fps']:g} fps = {measured['duration_s']:.1f} s"),
        ("body height", f"{measured['height_m']:.2f} m"),
        ("walked", f"{measured['walked_m']:.1f} m"),
        ("lowest point", f"{100 * float(measured['lowest_point_m']):+.1f} cm from the ground"),
        ("a foot on the ground", f"{100 * float(measured['standing_share']):.0f} % of the time"),
        ("speed, joints alone", f"{measured['joints_frames_per_s']:,.0f} frames/s"),
        ("speed, all vertices", f"{measured['vertices_frames_per_s']:,.0f} frames/s"),
    ]


def _summary(out: Path, motion: Motion, body: BodyModel, measured: dict[str, float | int | str]) -> str:
    lines = [f"{motion} on {body.name}:"]
    lines += [f"  {what:<22}{value}" for what, value in _rows(measured)]
    lines += ["", f"Written to {out}/; open {out / 'report.html'} in a browser.", "", "Next, with your own file:"]
    return "\n".join([*lines, *(f"  {line}" for line in _NEXT)])
