"""Screenshots of Vitruve's pages for the gallery: run as a user runs them, opened in headless Chromium.

They need Chromium and playwright; see tests/browser.py, which says where the browser is looked for.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from PIL import Image

import vitruve
from vitruve.cli import main
from vitruve.motion.clips import bundled_clip_path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import browser_page

_KEPT: list[tempfile.TemporaryDirectory[str]] = []
_PAPER = {False: (255, 255, 255), True: (20, 23, 27)}


def vitruve_command(*arguments: object) -> None:
    """Run a command of Vitruve in this process."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"vitruve {arguments[0]} ended with status {end.code}") from None


@cache
def work() -> Path:
    """A folder with the bundled clip and its conversion, for all that are drawn here."""
    _KEPT.append(tempfile.TemporaryDirectory(prefix="vitruve-gallery-"))  # it goes when the process ends
    folder = Path(_KEPT[0].name)
    vitruve.save_motion(vitruve.load_motion(bundled_clip_path()), folder / "walk.npz")
    pair = ("--from", "open-smplh", "--to", "open-smplx")
    vitruve_command("convert", folder / "walk.npz", *pair, "--out", folder / "walk_smplx.npz", "--quiet")
    return folder


def report(dark: bool = False) -> Image.Image:
    """The report that `vitruve convert` leaves."""
    return whole_page(work() / "walk_smplx-report" / "report.html", dark)


def compared() -> Image.Image:
    """The page of `vitruve compare`."""
    first, second, out = work() / "walk.npz", work() / "walk_smplx.npz", work() / "compared"
    if not out.exists():
        bodies = ("--body-a", "open-smplh", "--body-b", "open-smplx")
        vitruve_command("compare", first, second, *bodies, "--out", out, "--quiet")
    return whole_page(out / "report.html")


def rendered() -> Image.Image:
    """The strip that `vitruve render` draws of source and result, with the error as a heat map."""
    first, second, out = work() / "walk.npz", work() / "walk_smplx.npz", work() / "strip.png"
    bodies = ("--body", "open-smplh", "--body", "open-smplx")
    how = ("--layout", "side", "--heat", "--numbers", "--strip", 6, "--frames", "40:560")
    vitruve_command("render", first, second, *bodies, *how, "-o", out, "--quiet", "--overwrite")
    with Image.open(out) as image:
        picture = image.convert("RGB")
    return picture.resize((1600, round(1600 * picture.height / picture.width)), Image.Resampling.LANCZOS)


def viewer() -> Image.Image:
    """The page of `vitruve view`, source and result in one place."""
    first, second = work() / "walk.npz", work() / "walk_smplx.npz"
    bodies, how = ("--body", "open-smplh", "--body", "open-smplx"), ("--side", "--no-open", "--no-play")
    command = [sys.executable, "-m", "vitruve", "view", str(first), str(second), *bodies, *how, "--seconds", "120"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[0]
            with browser_page(width=1280, height=760) as page:
                page.goto(address)
                page.locator("canvas").first.wait_for()
                page.wait_for_timeout(8_000)  # the meshes arrive, and software draws them
                for _ in range(9):  # to where the hand waves
                    page.get_by_text("+10", exact=True).evaluate("button => button.click()")
                    page.wait_for_timeout(500)
                # It says that a graphics card is missing, which is true where this runs.
                page.locator(".mantine-Notification-closeButton").evaluate_all("all => all.forEach(b => b.click())")
                page.wait_for_timeout(15_000)
                shot = page.screenshot()
        finally:
            process.terminate()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def whole_page(html: Path, dark: bool = False, columns: int = 3, width: int = 1000) -> Image.Image:
    """A long page from top to bottom, in columns side by side."""
    with browser_page(width=width, height=800, dark=dark) as page:
        page.goto(html.as_uri())
        shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    tall = -(-shot.height // columns)
    out = Image.new("RGB", (columns * width, tall), _PAPER[dark])
    for i in range(columns):
        out.paste(shot.crop((0, i * tall, width, min((i + 1) * tall, shot.height))), (i * width, 0))
    return out.resize((1600, round(1600 * tall / out.width)), Image.Resampling.LANCZOS)
