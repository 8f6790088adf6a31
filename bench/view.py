"""How soon the viewer shows a body, and how fast a long clip scrubs: python bench/view.py [--rounds 5] [--frames 10000]

A browser that is open already, Chromium without a window and with software WebGL, is led to the page as soon as the
command has printed its address, always at the same port, so that the browser has the page's code at hand as it has for
whoever opened the viewer before. Counted is the time from the start of the command to the first draw call that has all
triangles of the body. The first round finds browser and disk cold. Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

import vitruve
from vitruve.draw.scene import load_scene
from vitruve.motion.clips import bundled_clip_path
from vitruve.threads import one_torch_thread
from vitruve.viewer.server import open_server
from vitruve.viewer.viewer import Viewer

FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
         "--disable-background-networking")  # fmt: skip
# Notes when a mesh as large as the body is drawn for the first time.
SPY = """(() => { window.drawn = 0; const kind = WebGL2RenderingContext.prototype, draw = kind.drawElements;
kind.drawElements = function(mode, count, type, offset) {
  if (count > 30000 && !window.drawn) window.drawn = Date.now(); return draw.call(this, mode, count, type, offset); };
})()"""


def first_picture(page: Page, port: int) -> tuple[float, float, float]:
    """Seconds from the start of the command to its address, to an empty page, and to the body."""
    command = [
        str(Path(sys.executable).with_name("vitruve")),
        "view",
        "--no-open",
        "--port",
        str(port),
        "--seconds",
        "120",
    ]
    begin = time.time()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as viewer:
        assert viewer.stdout is not None
        place = viewer.stdout.readline().split()[0]
        said = time.time()
        page.goto(place, wait_until="commit")
        page.wait_for_selector("canvas")
        empty = time.time()
        page.wait_for_function("window.drawn > 0", timeout=100_000)
        drawn = page.evaluate("window.drawn") / 1000
        page.goto("about:blank")
        viewer.terminate()
    return said - begin, empty - begin, drawn - begin


def scrubbing(frames: int, steps: int = 200) -> float:
    """Milliseconds that drawing a frame of a long clip takes the server, frames at random."""
    clip = vitruve.load_motion(bundled_clip_path())
    times = -(-frames // len(clip))
    long = clip.replace(rotations=clip.rotations.repeat(times, 1, 1, 1), translation=clip.translation.repeat(times, 1))
    viewer = Viewer(open_server(port=0), load_scene([long[:frames]]))
    begin = time.perf_counter()
    for frame in np.random.default_rng(0).integers(0, frames, steps).tolist():
        viewer.draw(frame)
    seconds = time.perf_counter() - begin
    viewer.close()
    return 1000 * seconds / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=10_000, help="of the long clip")
    parser.add_argument("--port", type=int, default=8399)
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("not measured: there is no Chromium (apt install chromium)")
        return
    print("seconds from the command to   its address   the empty page   the body")
    found = []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as profile:
        browser = driver.chromium.launch_persistent_context(profile, executable_path=chromium, args=list(FLAGS))
        page = browser.pages[0]
        page.add_init_script(SPY)
        for number in range(args.rounds):
            found.append(first_picture(page, args.port))
            print(f"round {number + 1:<22}" + "".join(f"{seconds:13.2f}" for seconds in found[-1]), flush=True)
        browser.close()
    warm = [drawn for *_, drawn in found[1:]] or [found[0][2]]
    print(f"the body, median of the rounds after the first: {statistics.median(warm):.2f} s")
    with one_torch_thread():
        print(f"a frame of {args.frames:,}, at random: {scrubbing(args.frames):.1f} ms")


if __name__ == "__main__":
    main()
