"""The viewer's clock, and its drawing thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from vitruve.errors import VitruveError

# Seconds until a frame counts as still, and until the browser has read what was sent then.
_STILL = 0.2
_MOST_FPS = 60.0  # pictures sent


class Stage(Protocol):
    """What the player draws on."""

    def draw(self, frame: int) -> None: ...  # quickly
    def settle(self, round: int) -> bool: ...  # add what is slow to a still frame: round 0, 1, ... until False
    def moved(self, frame: int, playing: bool) -> None: ...
    def say(self, title: str, text: str) -> None: ...


class Player:
    """Plays a clip. Its methods may be called from any thread and return at once; a thread of its own draws.

    Frames are dropped if drawing is slow. Of several requests only the last is drawn.

    Attributes:
        frame: the one that is shown or about to be.
        speed: seconds of the clip per second.
        error: the last unexpected error, or None; it is logged, and drawing continues.
    """

    def __init__(self, stage: Stage, frames: int, fps: float) -> None:
        self.frame, self.playing, self.speed, self.loop = 0, False, 1.0, True
        self.error: BaseException | None = None
        self._stage, self._frames, self._fps = stage, frames, fps
        self._changed = threading.Condition()
        self._tasks: list[Callable[[], None]] = []
        self._nudged, self._busy, self._closed = False, False, False
        # Time and frame at which playing began; what is drawn, since when; the next round of settling, or None.
        self._clock = (0.0, 0)
        self._drawn, self._since = 0, time.monotonic()
        self._round: int | None = 0
        self._thread = threading.Thread(target=self._run, name="vitruve-viewer", daemon=True)

    def start(self) -> None:
        """Start drawing."""
        self._thread.start()

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        with self._changed:
            self.frame = max(0, min(int(frame), self._frames - 1))
            self._clock = (time.monotonic(), self.frame)
            self._changed.notify_all()
        self._stage.moved(self.frame, self.playing)

    def step(self, frames: int) -> None:
        """Stop, and move some frames forward or back."""
        self.play(False)
        self.go_to(self.frame + frames)

    def play(self, playing: bool = True) -> None:
        """Play, from the beginning if the end was reached; or stop."""
        with self._changed:
            playing = playing and self._frames > 1
            if playing and self.frame == self._frames - 1:
                self.frame = 0
            self.playing, self._clock, self._nudged = playing, (time.monotonic(), self.frame), True
            self._changed.notify_all()
        self._stage.moved(self.frame, playing)

    def set_speed(self, speed: float) -> None:
        """Set the seconds of the clip per second."""
        with self._changed:
            self.speed, self._clock = speed, (time.monotonic(), self.frame)

    def do(self, task: Callable[[], None]) -> None:
        """Run a function on the drawing thread, before the next frame; then everything is redrawn."""
        with self._changed:
            self._tasks.append(task)
            self._nudged = True
            self._changed.notify_all()

    def wait_until_drawn(self, seconds: float = 10.0) -> bool:
        """Wait until all requests are drawn and settled; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, seconds)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for some time, or until `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """End the drawing thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(5.0)

    @property
    def _idle(self) -> bool:
        settled = self._round is None and self._drawn == self.frame
        return settled and not (self._tasks or self._busy or self.playing)

    def _run(self) -> None:
        while not self._closed:
            try:
                self._turn()
            except Exception as error:
                # A frame that failed is not retried until another click or frame.
                self.playing, self._drawn, self._round = False, self.frame, None
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Report an unexpected error: no click on a page may end the server."""
        self.error = error
        logging.getLogger(__name__).error("the viewer failed", exc_info=error)
        self._stage.say("This did not work, by a fault of Vitruve", f"{type(error).__name__}: {error}")

    def _turn(self) -> None:
        with self._changed:
            self._busy = False
            if self._idle:
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._nudged or self._drawn != self.frame, self._patience())
            tasks, self._tasks, self._nudged, self._busy = self._tasks, [], False, True
        if self._closed:
            return
        for task in tasks:
            try:
                task()
            except VitruveError as error:
                self._stage.say(error.what, error.fix)
            except Exception as error:
                self._failed(error)
        if self.playing:
            self._advance()
        frame, still = self.frame, time.monotonic() - self._since >= _STILL
        if tasks or frame != self._drawn:
            self._stage.draw(frame)
            self._drawn, self._since, self._round = frame, time.monotonic(), 0
        elif still and not self.playing and self._round is not None:
            again = self._stage.settle(self._round)
            self._round, self._since = self._round + 1 if again else None, time.monotonic()

    def _patience(self) -> float | None:
        """Seconds until there is something to do without a request."""
        since = time.monotonic() - self._since
        if self.playing:
            return max(1 / min(_MOST_FPS, self._fps * self.speed) - since, 0.001)
        return None if self._round is None else max(_STILL - since, 0.001)

    def _advance(self) -> None:
        """Go to the frame of this moment, unless another thread has just stopped."""
        with self._changed:
            start, first = self._clock
            frame = int(first + (time.monotonic() - start) * self._fps * self.speed)
            if not self.playing:
                return
            if frame < self._frames:
                self.frame = frame
            elif self.loop:
                self.frame, self._clock = 0, (time.monotonic(), 0)
            else:
                self.frame, self.playing = self._frames - 1, False
        self._stage.moved(self.frame, self.playing)
