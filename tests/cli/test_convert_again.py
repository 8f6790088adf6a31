"""`vitruve convert` called again: damaged and changed results, results among the inputs, parts without files."""

import functools
import json
import os
import shutil

import numpy as np
import pytest

import vitruve
from tests.cli.convert_material import BODIES, RECORDS, lines, results_of, run, times_of, write_clips
from tests.command import run_command
from tests.material import small_motion


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Clips, and where they were converted to."""
    folder = tmp_path_factory.mktemp("done")
    clips = write_clips(folder / "clips", 3)
    assert run(clips, *BODIES, "--out", folder / "out", "--quiet") == 0
    return clips, folder / "out"


@pytest.fixture
def again(done, tmp_path):
    """The same to play with, dates kept."""
    shutil.copytree(done[1], tmp_path / "out")
    return done[0], tmp_path / "out"


def cut_to_nothing(path):
    path.write_bytes(b"")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-400])


def spoilt_at_the_same_size(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_to_nothing, cut_short, spoilt_at_the_same_size])
def test_a_damaged_result_is_made_again(again, damage, capsys):
    clips, out = again
    before, broken = results_of(out), out / "walk" / "clip0.npz"
    damage(broken)
    assert run(clips, *BODIES, "--out", out, "--dry-run") == 0
    assert "1 to do" in capsys.readouterr().out
    assert run(clips, *BODIES, "--out", out) == 0
    printed = capsys.readouterr()
    assert results_of(out) == before and lines(out, "done")[3:] == ["walk/clip0.npz"]
    assert (
        "1 of them now" in printed.out and f"made again, since the earlier result is damaged: {broken}" in printed.err
    )
    assert run(clips, *BODIES, "--out", out) == 0 and "0 of them now" in capsys.readouterr().out


def test_a_damaged_folder_of_frames_is_made_again(tmp_path):
    clips, call = write_clips(tmp_path / "clips", 1), ("--format", "transfer", "--out", tmp_path / "out", "--quiet")
    assert run(clips, "--from", "open-smplh", "--to", "open-smplx", "--points", "60", *call) == 0
    frames = sorted((tmp_path / "out").rglob("*.pkl"))
    content = [frame.read_bytes() for frame in frames]
    cut_to_nothing(frames[2])
    assert run(clips, "--from", "open-smplh", "--to", "open-smplx", "--points", "60", *call) == 0
    assert [frame.read_bytes() for frame in frames] == content


def test_a_copied_folder_is_done_whatever_its_dates(again, capsys):
    clips, out = again
    for path in out.rglob("*.npz"):
        os.utime(path, (1e9, 1e9))
    before = times_of(out)
    assert run(clips, *BODIES, "--out", out) == 0
    assert "0 of them now" in capsys.readouterr().out and times_of(out) == before


def test_a_result_that_somebody_has_changed_is_not_replaced_without_overwrite(again, capsys):
    clips, out = again
    before = results_of(out)
    mine = small_motion("smplx", 5, seed=3)
    vitruve.save_motion(mine, out / "clip1.npz", overwrite=True)
    changed = (out / "clip1.npz").read_bytes()
    assert run(clips, *BODIES, "--out", out, "--quiet") == 4
    printed = capsys.readouterr().err
    assert "was changed since" in printed and str(out / "clip1.npz") in printed and "--overwrite" in printed
    assert (out / "clip1.npz").read_bytes() == changed
    assert run(clips, *BODIES, "--out", out, "--quiet", "--overwrite") == 0
    assert results_of(out) == before


def test_results_among_the_inputs_are_not_converted_again(done, tmp_path, capsys):
    """The folder that was converted holds what came of it, from a call without --out and from one with a file."""
    data = tmp_path / "data"
    shutil.copytree(done[0], data)
    assert run(data, *BODIES, "--out", data / "smplx", "--quiet") == 0
    assert run(data / "clip1.npz", *BODIES, "--out", data / "clip1_smplx.npz", "--quiet") == 0
    assert run(data, *BODIES, "--out", tmp_path / "out") == 0
    assert set(results_of(tmp_path / "out")) == {"clip1.npz", "walk/clip0.npz", "walk/clip2.npz"}
    assert "result of an earlier run" in capsys.readouterr().err
    # Named by themselves they are meant; so is one that was changed since.
    more = ("--to", "open-smplh", "--points", "60", "--quiet", "--from", "open-smplx")
    assert run(data / "smplx", *more, "--out", tmp_path / "back") == 0
    assert len(results_of(tmp_path / "back")) == 3
    assert run(data / "clip1.npz", data / "clip1_smplx.npz", "--to", "open-smplx", "--dry-run") == 0
    assert "2 to do" in capsys.readouterr().out
    vitruve.save_motion(small_motion("smplx", 5), data / "smplx" / "clip1.npz", overwrite=True)
    assert run(data, "--to", "open-smplx", "--dry-run", "--out", tmp_path / "third") == 0
    assert "4 to do" in capsys.readouterr().out


def test_a_store_does_not_take_results_beside_their_sources(done, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(done[0], data)
    assert run(data, *BODIES, "--out", data / "smplx", "--quiet") == 0
    assert run_command("data", "prepare", data, "--out", tmp_path / "store") == 0
    assert "3 clips with 24 frames were added" in (printed := capsys.readouterr().out) and "3 ignored" in printed


def test_the_same_folder_as_inputs_and_output_twice(done, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(done[0], data)
    for count in (3, 0):
        assert run(data, *BODIES, "--format", "vitruve", "--out", data) == 0
        assert f"{count} of them now" in capsys.readouterr().out


def test_a_part_without_files_says_so(done, tmp_path, capsys):
    assert run(done[0], *BODIES, "--out", tmp_path / "out", "--shard", "1/40") == 0
    printed = capsys.readouterr()
    assert "part 1/40" in printed.out and "nothing to do" in printed.out and "failures" not in printed.out + printed.err
    assert not list(tmp_path.rglob("failures*")) and not results_of(tmp_path)


@pytest.mark.parametrize("name", ["walk.xyz", "walk.npx", "walk.Npz2"])
def test_an_ending_that_nobody_knows_makes_no_folder(done, tmp_path, name, capsys):
    assert run(done[0] / "clip1.npz", *BODIES, "--out", tmp_path / name, "--quiet") == 2
    printed = capsys.readouterr().err
    assert "not the ending of a motion file" in printed and name in printed and ".npz" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["v1.5", "2026.11.30", "converted"])
def test_a_folder_may_have_a_dot(done, tmp_path, name):
    assert run(done[0] / "clip1.npz", *BODIES, "--out", tmp_path / name, "--quiet") == 0
    (tmp_path / "taken.xyz").mkdir()
    assert run(done[0] / "clip1.npz", *BODIES, "--out", tmp_path / "taken.xyz", "--quiet") == 0
    assert {path.name for path in (tmp_path / "taken.xyz").iterdir()} == {*RECORDS, "clip1.npz"}


def test_ids_of_poses_lead_to_the_command_that_takes_them(tmp_path, capsys):
    (tmp_path / "ids.json").write_text(json.dumps({"0": ["AMASS", "CMU/01/01_01_poses.npz", 7]}))
    assert run(tmp_path / "ids.json", "--to", "open-smplx", "--out", tmp_path / "out") == 4
    printed = capsys.readouterr().err
    assert "vitruve data poses" in printed and "--amass" in printed and str(tmp_path / "ids.json") in printed


def test_why_a_result_is_not_to_be_trusted_comes_first(tmp_path, monkeypatch, capsys):
    """No licensed body is installed here, so the open one is taken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VITRUVE_BODIES", raising=False)
    write_clips(tmp_path / "clips", 1)
    np.savetxt("betas.txt", np.full(10, 5.0))
    call = ("clips", "--from", "smplh", "--to", "smplx", "--points", "60", "--betas", "betas.txt", "--out", "out")
    assert run(*call, "--quiet") == 5
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "DO NOT TRUST" in line]
    assert line.partition("DO NOT TRUST walk/clip0.npz: ")[2].startswith("the mean error is ")


def test_a_clip_is_read_once_and_its_result_never(tmp_path, monkeypatch):
    """The plan looks at headers; the page shows the pictures of one result, which is not in question here."""
    import vitruve.formats as formats

    clips = write_clips(tmp_path / "clips", 3)
    opened, load = [], formats._function

    def counted(target):
        read = load(target)

        @functools.wraps(read)
        def counting(path, *more, **options):
            opened.append(str(path))
            return read(path, *more, **options)

        return counting if ":read" in target else read

    monkeypatch.setattr(formats, "_function", counted)
    assert run(clips, *BODIES, "--out", tmp_path / "out", "--quiet", "--no-report") == 0
    assert sorted(opened) == sorted(map(str, clips.rglob("*.npz")))
