"""The clock of the viewer, and the one thread that draws."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from vitruve.errors import VitruveError

# A frame counts as still after this many seconds without another, and what was sent then is there after as many again.
_STILL = 0.2
# No more pictures a second than this are sent.
_RATE = 60.0


class Stage(Protocol):
    """What the player draws on."""

    def draw(self, frame: int) -> None:
        """Draw a frame, quickly."""
        ...

    def settle(self, round: int) -> bool:
        """Add what takes longer, for a frame that stands still: round 0, 1, ... as long as it asks for another."""
        ...

    def moved(self, frame: int, playing: bool) -> None:
        """Time was moved by something else than the time line of the page."""
        ...

    def say(self, title: str, text: str) -> None:
        """Tell the user."""
        ...


class Player:
    """Time. Its methods may be called from any thread and return at once; drawing is done by a thread of its own.

    Frames are left out where drawing takes longer than they last, and of many wishes only the last is drawn.

    Attributes:
        frame: the one that is shown or about to be.
        playing: whether time runs.
        speed: seconds of the clip per second.
        loop: begin again at the end.
        error: what went wrong last and is a fault of the program, or None; it is logged, and drawing goes on.
    """

    def __init__(self, stage: Stage, frames: int, fps: float) -> None:
        self.frame, self.playing, self.speed, self.loop = 0, False, 1.0, True
        self.error: BaseException | None = None
        self._stage, self._frames, self._fps = stage, frames, fps
        self._changed = threading.Condition()
        self._tasks: list[Callable[[], None]] = []
        self._nudged, self._busy, self._closed = False, False, False
        # When and at which frame time began to run; what is drawn, since when; rounds of settling, None when done.
        self._clock = (0.0, 0)
        self._drawn, self._since = 0, time.monotonic()
        self._round: int | None = 0
        self._thread = threading.Thread(target=self._run, name="vitruve-viewer", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        with self._changed:
            self.frame = max(0, min(int(frame), self._frames - 1))
            self._clock = (time.monotonic(), self.frame)
            self._changed.notify_all()
        self._stage.moved(self.frame, self.playing)

    def step(self, frames: int) -> None:
        """Stop, and go some frames forward or back."""
        self.play(False)
        self.go_to(self.frame + frames)

    def play(self, playing: bool = True) -> None:
        """Let time run, from the beginning where the end was reached; or stop it."""
        with self._changed:
            # A single frame stands still.
            playing = playing and self._frames > 1
            if playing and self.frame == self._frames - 1:
                self.frame = 0
            self.playing, self._clock, self._nudged = playing, (time.monotonic(), self.frame), True
            self._changed.notify_all()
        self._stage.moved(self.frame, playing)

    def set_speed(self, speed: float) -> None:
        """Seconds of the clip per second."""
        with self._changed:
            self.speed, self._clock = speed, (time.monotonic(), self.frame)

    def do(self, task: Callable[[], None]) -> None:
        """Have something done by the thread that draws, before the next frame; then all is drawn anew."""
        with self._changed:
            self._tasks.append(task)
            self._nudged = True
            self._changed.notify_all()

    def wait_until_drawn(self, seconds: float = 10.0) -> bool:
        """Wait until all that was asked for is drawn and stands still; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, seconds)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for some time, or until `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """End the thread."""
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
                # What cannot be drawn is not tried again by itself; another click or frame is.
                self.playing, self._drawn, self._round = False, self.frame, None
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Keep a fault of the program, and say it: nothing that is clicked on a page may end the server."""
        self.error = error
        logging.getLogger(__name__).error("the viewer could not do this", exc_info=error)
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
        """Seconds until there is something to do without being asked."""
        since = time.monotonic() - self._since
        if self.playing:
            return max(1 / min(_RATE, self._fps * self.speed) - since, 0.001)
        return None if self._round is None else max(_STILL - since, 0.001)

    def _advance(self) -> None:
        """Go to the frame that the clock says, unless time was stopped in this moment."""
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
