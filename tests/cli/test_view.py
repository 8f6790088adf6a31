"""`vitruve view` as a command: what it says, what it writes, and how it refuses."""

import functools
import socket
import sys

import pytest

import vitruve
from tests.command import run_command
from tests.material import small_motion
from vitruve.formats.readers.mesh_sequence import write_mesh_sequence

pytest.importorskip("viser", reason="no viser: pip install 'vitruve[view]'")


run = functools.partial(run_command, "view")


@pytest.fixture
def clip(tmp_path):
    return vitruve.save_motion(small_motion("smplh", 6).replace(gender="neutral"), tmp_path / "clip.npz")


def test_it_serves_a_page_for_a_while(clip, capsys):
    assert run(clip, "--body", "open-smplh", "--no-open", "--seconds", 0.3, "--port", 0) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("http://localhost:")
    assert "clip: 6 frames at 30 fps on open-smplh-neutral" in printed
    assert "viser" not in printed


def test_dry_run_shows_and_writes_nothing(clip, tmp_path, capsys):
    assert run(clip, "--dry-run") == 0
    assert run(clip, "--save", tmp_path / "a.html", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "nothing was served" in printed and "nothing was written; 6 frames would go" in printed
    assert run(vitruve.save_motion(small_motion("smplh", 1), tmp_path / "one.npz"), "--dry-run") == 0
    assert "1 frame at 30 fps" in capsys.readouterr().out
    (tmp_path / "one.npz").unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["clip.npz"]


def test_it_saves_a_recording_and_replaces_it_only_with_overwrite(clip, tmp_path, capsys):
    page = tmp_path / "out" / "a.viser"
    assert run(clip, "--save", page, "--quiet") == 0
    assert page.stat().st_size > 1000
    assert capsys.readouterr().out == ""
    before = page.read_bytes()
    assert run(clip, "--save", page, "--quiet") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert page.read_bytes() == before


@pytest.mark.parametrize(("options", "plays"), [((), True), (("--heat",), False), (("--heat", "--play"), True)])
def test_it_begins_to_play_unless_a_heat_map_is_to_be_seen(clip, options, plays, monkeypatch):
    from vitruve.viewer.timeline import Player

    asked = []
    monkeypatch.setattr(Player, "play", lambda self: asked.append(True))
    shown = (clip, clip, "--body", "open-smplh", "--no-open", "--seconds", 0.1, "--port", 0, "--quiet")
    assert run(*shown, *options) == 0
    assert bool(asked) == plays


def test_a_recording_says_what_its_heat_map_is(clip, tmp_path, capsys):
    assert run(clip, clip, "--heat", "--save", tmp_path / "a.viser", "--dry-run") == 0
    assert "mean error over the clip" in capsys.readouterr().err


def refusals(clip, tmp_path):
    other = tmp_path / "text.npz"
    other.write_text("no motion")
    return {
        "no such file": (2, 3, ("absent.npz",)),
        "no motion": (4, 4, (other,)),
        "no such body": (3, 3, (clip, "--body", tmp_path / "body.npz", "--no-open")),
        "a body of another layout": (2, 2, (clip, "--body", "open-smplx", "--no-open")),
        "nothing to compare": (2, 2, (clip, "--heat", "--no-open")),
        "nothing to compare, tried dry": (2, 2, (clip, "--heat", "--dry-run")),
        "no recording": (2, 2, (clip, "--save", tmp_path / "a.mp4")),
        "no address": (2, 2, (clip, "--host", "203.0.113.1", "--no-open")),
    }


CASES = (
    *("no such file", "no motion", "no such body", "a body of another layout"),
    *("nothing to compare", "nothing to compare, tried dry", "no recording", "no address"),
)


@pytest.mark.parametrize("case", CASES)
def test_refusals_say_what_to_do(clip, tmp_path, capsys, case):
    low, high, arguments = refusals(clip, tmp_path)[case]
    assert low <= run(*arguments) <= high
    printed = capsys.readouterr().err
    assert printed.startswith("vitruve: ") and "  do:  " in printed and "Traceback" not in printed


def test_a_taken_port_is_refused_and_the_next_free_one_named(clip, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(clip, "--port", port, "--no-open") == 2
    printed = capsys.readouterr().err
    assert f"port {port} is taken" in printed and "--port" in printed


def test_without_viser_it_names_the_extra(clip, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert run(clip, "--no-open") == 3
    assert "pip install 'vitruve[view]'" in capsys.readouterr().err


def test_the_server_is_up_before_torch_is_loaded(clip):
    """The first picture comes soon only if the browser loads its page while torch is loaded."""
    import subprocess

    code = (
        "import sys, vitruve.cli.view as view; from vitruve.viewer.server import open_server, close_server;"
        f"view._check_formats(({str(clip)!r},)); close_server(open_server(port=0)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_of_meshes_is_shown_beside_the_motion_that_made_it(clip, tmp_path, capsys):
    body = vitruve.load_body("open-smplh-neutral")
    meshes = tmp_path / "scan"
    write_mesh_sequence(vitruve.load_motion(clip).vertices(body), body.faces, meshes, up="y")
    assert run(meshes, "--up", "y", "--no-open", "--seconds", 0.3, "--port", 0) == 0
    printed = capsys.readouterr()
    assert "scan: 6 frames at 30 fps on open-smplh-neutral" in printed.out and "30 fps was taken" in printed.err
    both = (clip, meshes, "--up", "y", "--source-fps", 15, "--body", "open-smplh-neutral")
    assert run(*both, "--heat", "--save", tmp_path / "a.viser", "--quiet") == 0
    assert capsys.readouterr().err == "" and (tmp_path / "a.viser").stat().st_size > 6 * 6890 * 3
