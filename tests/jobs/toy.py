"""A feature for the engine: text files become upper case. One that says "fail" fails, one that says "die" kills."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from vitruve.errors import BadData
from vitruve.jobs.batch import plan_batch
from vitruve.jobs.inputs import find_inputs
from vitruve.jobs.work import InputKind, Settled, Work

TEXTS = InputKind("text", frozenset({".md"}), is_input=lambda path: not path.name.startswith("_"))
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Facts:
    letters: int


def look(path: Path) -> Facts:
    if path.stem == UNREADABLE:
        raise BadData("it cannot be looked at", where=str(path), fix="mend it")
    return Facts(path.stat().st_size)


def do(task, progress):
    text = Path(task.input).read_text()
    if text == "fail":
        raise BadData("it cannot be done", where=task.input, fix="mend it")
    if text == "odd":
        raise ZeroDivisionError("odd")
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    Path(task.output).parent.mkdir(parents=True, exist_ok=True)
    Path(task.output).write_text(text.upper() + task.settings)
    return {"letters": task.size, "seconds": 0.5}


def summarise(entries, failed):
    return {"files": len(entries), "failures": len(failed)}


def toy(ending="!", look=look):
    return Work(
        verb="toy",
        unit="letters",
        options={"ending": ending},
        look=look,
        recall=lambda known: Facts(**known),
        size=lambda facts: facts.letters,
        settle=lambda path, output, facts: Settled(ending, (ending,)),
        do=do,
        is_result=lambda path: path.read_text().endswith("!"),
        summarise=summarise,
    )


def write(folder, **texts):
    for name, text in texts.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(text)
    return folder


def planned(source, out, work=None, **more):
    inputs, passed = find_inputs([source], TEXTS)
    outputs = [out / entry.relative.with_suffix(".txt") for entry in inputs]
    return plan_batch(work or toy(), inputs, outputs, out, passed=passed, **more)


def results(out):
    return {path.stem: path.read_text() for path in out.glob("*.txt")}
