"""What one `vitruve convert` does only once, what it does not import, and what it says of its time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.cli.convert_material import BODIES, RECORDS, run, write_clips
from vitruve.bodies import body_model, catalogue, load_body, open_body
from vitruve.correspondence import correspondence


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clips(folder, 1)
    return folder / "walk" / "clip0.npz"


def test_bodies_are_read_and_split_once(clip, tmp_path, monkeypatch):
    counts: Counter[str] = Counter()

    def counted(home, name):
        function = getattr(home, name)

        def call(*arguments, **more):
            counts[name] += 1
            return function(*arguments, **more)

        monkeypatch.setattr(home, name, call)

    # Computing the surface map poses both bodies, too: it is in the cache before anything is counted.
    correspondence(load_body("open-smplh-neutral"), load_body("open-smplx-neutral"))
    catalogue._shared.cache_clear()
    counted(open_body, "load_open_body")
    counted(body_model, "split_skin")
    assert run(clip, "--from", "smplh", "--to", "smplx", "--points", "60", "--out", tmp_path / "out.npz") == 0
    # Each body once; the skin of each once in whole, and for the points of the fit and for those of the measure.
    assert counts == {"load_open_body": 2, "split_skin": 6}


def test_no_report_writes_no_page_and_removes_one_of_before(clip, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(clip, *BODIES, "--out", out) == 0
    assert (out / "report.html").is_file()
    assert run(clip, *BODIES, "--out", out, "--overwrite", "--no-report") == 0
    printed = capsys.readouterr().out
    assert not (out / "report.html").exists() and str(out / "results.json") in printed.splitlines()[-1]
    assert RECORDS - {"report.html"} <= {path.name for path in out.iterdir()}


_CALL = """
import sys
sys.argv = ["vitruve", *sys.argv[1:]]
import atexit
slow = {"scipy.sparse", "scipy.spatial", "sympy", "torch._dynamo", "torch._inductor", "rich.progress", "viser"}
atexit.register(lambda: print("imported:", *sorted(slow & set(sys.modules))))
from vitruve.cli import main
main()
"""


def _alone(*arguments: object) -> str:
    """What the command says in a process of its own."""
    call = [sys.executable, "-c", _CALL, "convert", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def test_a_warm_conversion_imports_nothing_slow_and_says_its_whole_time(clip, tmp_path):
    assert run(clip, *BODIES, "--out", tmp_path / "first.npz") == 0  # the surface map is there now
    printed = _alone(clip, *BODIES, "--out", tmp_path / "out.npz", "--no-report")
    # Also seen: what is left to do at the end is done, though the process is not taken apart.
    assert printed.splitlines()[-1].split() == ["imported:"]
    assert float(re.search(r"whole command +(\S+) s", printed)[1]) > 0  # pyright: ignore[reportOptionalSubscript]
    assert (tmp_path / "out.npz").is_file()
