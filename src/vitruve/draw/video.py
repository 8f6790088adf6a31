"""Films on disk: write H.264 frame by frame and animated GIF, read videos with their times and rotation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vitruve.draw.backdrop import Picture
from vitruve.errors import BadData, MissingAsset, UsageError

ENDINGS = (".mp4", ".mov", ".mkv", ".gif")
# Bytes of pixels: a GIF is assembled in memory.
_MOST_GIF = 400e6
_MOST_GIF_FPS = 50.0
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")


def check_film(path: Path, size: tuple[int, int], frames: int) -> None:
    """Raise before drawing if a film cannot be written: unknown suffix, missing codec, odd size."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(
            f"a film cannot be written as '{ending or path.name}'",
            where=str(path),
            fix=f"choose one of {', '.join(ENDINGS)}, or .png for one picture or a strip",
        )
    if ending == ".gif":
        if frames * size[0] * size[1] > _MOST_GIF:
            raise UsageError(
                "this is too long for a GIF, which is assembled in memory",
                where=f"{frames} frames of {size[0]}x{size[1]}",
                fix="write an .mp4, or take fewer frames (--frames ::4) or a smaller --size",
            )
        return
    if size[0] % 2 or size[1] % 2:
        raise UsageError(
            "H.264 needs an even width and height",
            where=f"--size {size[0]}x{size[1]}",
            fix=f"--size {size[0] + size[0] % 2}x{size[1] + size[1] % 2}",
        )
    _encoder(_av())


def write_film(pictures: Iterable[Picture], path: Path, fps: float, size: tuple[int, int]) -> int:
    """Write pictures [height, width, 3] as they come; returns how many."""
    if path.suffix.lower() == ".gif":
        return _write_gif(pictures, path, fps)
    av = _av()
    count = 0
    with av.open(str(path), "w", options={} if path.suffix.lower() == ".mkv" else {"movflags": "faststart"}) as film:
        stream = film.add_stream(_encoder(av), rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if stream.codec_context.name == "libx264":
            stream.options = {"preset": "veryfast", "crf": "18"}
        else:
            stream.bit_rate = round(0.12 * size[0] * size[1] * fps)
        # Stored in the file, so that no player guesses: BT.709 colours, in the limited range.
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts = count
            film.mux(stream.encode(frame))
            count += 1
        film.mux(stream.encode(None))
    return count


class VideoSource:
    """A video to draw over.

    Attributes:
        fps: mean frame rate.
        size: width and height after its rotation.
        announced: number of frames in its header; 0 if missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingAsset("the video does not exist", where=str(path), fix="check the path")
        with self._open() as (_, stream):
            self.fps = float(stream.average_rate or stream.guessed_rate or 30)
            self.announced = int(stream.frames or 0)
        first = next(self.pictures(), None)
        if first is None:
            raise BadData("the video has no frames", where=str(path), fix="check it in a player")
        self.size = (first[1].shape[1], first[1].shape[0])

    def times(self) -> list[float]:
        """The time of each frame in seconds from the first one; no picture is decoded."""
        with self._open() as (file, stream):
            shown = sorted(float(p.pts * p.time_base) for p in file.demux(stream) if p.pts is not None)
        return [time - shown[0] for time in shown]

    def pictures(self) -> Iterator[tuple[float, Picture]]:
        """Yields each frame: seconds from the first one, and [height, width, 3] upright."""
        with self._open() as (file, stream):
            stream.thread_type = "AUTO"
            first: float | None = None
            for number, frame in enumerate(file.decode(stream)):
                seconds = number / self.fps if frame.time is None else float(frame.time)
                first = seconds if first is None else first
                picture = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                yield seconds - first, np.ascontiguousarray(picture)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        av = _av()
        try:
            with av.open(str(self.path)) as file:
                if not file.streams.video:
                    raise BadData("the file holds no video", where=str(self.path), fix="give a video file")
                yield file, file.streams.video[0]
        except av.error.FFmpegError as error:
            raise BadData(
                "the video cannot be read", where=f"{self.path}: {error}", fix="check it in a player"
            ) from None


def gif_step(fps: float) -> int:
    """Every how many frames of a film a GIF has one: it has 50 frames a second at most.

    A GIF counts in hundredths of a second, and players show a frame of less than two for ten.
    """
    return math.ceil(fps / _MOST_GIF_FPS - 1e-6)


def _write_gif(pictures: Iterable[Picture], path: Path, fps: float) -> int:
    step = gif_step(fps)
    images: list[Image.Image] = []
    for picture in itertools.islice(pictures, 0, None, step):
        image = Image.fromarray(picture)
        # All frames share the palette of the first, or still parts would flicker.
        images.append(image.quantize(palette=images[0]) if images else image.quantize(255, dither=Image.Dither.NONE))
    times = np.diff(np.round(np.arange(len(images) + 1) * 100 * step / fps)).astype(int) * 10
    images[0].save(path, save_all=True, append_images=images[1:], duration=times.tolist(), loop=0, optimize=False)
    return len(images)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise MissingAsset(
            "videos need PyAV, which is not installed",
            fix="pip install 'vitruve[video]'; or write a .gif, or a .png for a strip of pictures",
        ) from None
    return av


def _encoder(av: Any) -> str:
    encoder = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if encoder is not None:
        return encoder
    raise MissingAsset(
        "this machine's PyAV has no H.264 encoder",
        where=f"looked for {', '.join(_ENCODERS)} in PyAV {av.__version__}",
        fix="install the wheel, which brings one: pip install --force-reinstall --only-binary av av; "
        "or write a .gif, or a .png for a strip of pictures",
    )
