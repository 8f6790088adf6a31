"""`vitruve convert` on folders of small clips: complete, resumed, split, spread over processes, and what it says."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from html import unescape

import numpy as np
import pytest

import vitruve
from tests.bodies.official_files import random_values, write_npz
from tests.cli.convert_material import BODIES, KILLED, RECORDS, lines, results_of, run, times_of, write_clips
from tests.material import small_motion


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), 4)


@pytest.fixture(scope="module")
def converted(clips, tmp_path_factory):
    """The four clips and a damaged one, converted."""
    source, out = tmp_path_factory.mktemp("source") / "data", tmp_path_factory.mktemp("converted") / "out"
    shutil.copytree(clips, source)
    (source / "walk" / "bad.npz").write_bytes((clips / "clip1.npz").read_bytes()[:1000])
    assert run(source, *BODIES, "--out", out) == 4
    return source, out


def test_all_but_the_bad_file_is_there(converted):
    _, out = converted
    assert set(results_of(out)) == {"clip1.npz", "clip3.npz", "walk/clip0.npz", "walk/clip2.npz"}
    assert {path.name for path in out.iterdir()} == {*RECORDS, "failures.csv", "clip1.npz", "clip3.npz", "walk"}
    motion = vitruve.load_motion(out / "clip1.npz")
    assert (motion.skeleton.name, len(motion), motion.fps, motion.gender) == ("smplx55", 8, 30, "neutral")


def test_the_bad_file_is_listed(converted):
    source, out = converted
    with (out / "failures.csv").open(newline="") as file:
        (failure,) = csv.DictReader(file)
    assert failure["input"] == str(source / "walk" / "bad.npz")
    assert "damaged" in failure["what"] and failure["do"]


def test_results_hold_what_is_promised(converted):
    results = json.loads((converted[1] / "results.json").read_text())
    assert (results["files"], results["failures"], results["frames"]) == (4, 1, 32)
    assert results["seconds"] > 0
    assert results["frames_per_second"] == pytest.approx(32 / results["seconds"])
    error = results["error_mm"]
    assert 0 < error["mean"] < error["p95"] < error["max"] < 100
    assert results["jitter_mm"] > 0 and 0 < results["map_residual_mm"] < 5
    assert 0.5 * results["seconds"] < sum(results["stages"].values()) < 1.001 * results["seconds"]
    record = tomllib.loads((converted[1] / "run.toml").read_text())
    assert record["command"] == "vitruve convert" and record["options"]["points"] == 60 and len(record["inputs"]) == 4


def test_the_page_shows_figures_and_bodies(converted):
    html = (converted[1] / "report.html").read_text()
    assert (
        html.count('src="data:image/png;base64,') == 3
        and html.count('<svg class="plot wide"') == 5
        and "<script" not in html
    )
    for text in ("4 files", "1 file could not", "bad.npz", "open-smplx-neutral", "CC0", "Mean error by part"):
        assert text in html


def test_again_does_nothing(converted, tmp_path, capsys):
    source, out = converted
    before, records = times_of(out), len(lines(out, "done"))
    assert run(source, *BODIES, "--out", out) == 4
    assert times_of(out) == before and len(lines(out, "done")) == records
    assert "0 of them now" in capsys.readouterr().out


def test_only_what_is_missing_or_changed_is_done(converted, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(converted[0], source)
    shutil.copytree(converted[1], out)
    (source / "walk" / "bad.npz").unlink()
    before = results_of(out)
    (out / "clip3.npz").unlink()
    (source / "walk" / "clip0.npz").unlink()
    motion = small_motion("smplh", 8, seed=77).replace(gender="neutral")
    vitruve.save_motion(motion, source / "walk" / "clip0.npz")
    assert run(source, *BODIES, "--out", out) == 0
    after = results_of(out)
    assert lines(out, "done")[4:] == ["clip3.npz", "walk/clip0.npz"]
    assert after["clip3.npz"] == before["clip3.npz"] and after["walk/clip0.npz"] != before["walk/clip0.npz"]
    assert not (out / "failures.csv").exists()


def test_dry_run_says_all_and_writes_nothing(converted, tmp_path, capsys):
    source, out = converted
    assert run(source, *BODIES, "--out", tmp_path / "new", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "4 to do (32 frames)" in printed and "bad.npz" in printed and str(tmp_path / "new" / "clip1.npz") in printed
    assert os.listdir(tmp_path) == []
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    assert run(source, *BODIES, "--out", out, "--dry-run") == 0
    assert "0 to do (0 frames), 4 done, 1 bad" in capsys.readouterr().out
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before


def test_shards_make_the_same_set(clips, converted, tmp_path):
    out = tmp_path / "out"
    for shard in ("1/2", "2/2"):
        assert run(clips, *BODIES, "--out", out, "--shard", shard, "--quiet") == 0
    assert results_of(out) == results_of(converted[1])
    assert {path.name for path in out.glob("ledger*")} == {"ledger-1of2.jsonl", "ledger-2of2.jsonl"}
    before = times_of(out)
    assert run(clips, *BODIES, "--out", out, "--quiet") == 0  # all together: nothing to do but the summary
    assert times_of(out) == before and json.loads((out / "results.json").read_text())["files"] == 4


def test_workers_make_the_same_bytes(clips, converted, tmp_path):
    out = tmp_path / "out"
    assert run(clips, *BODIES, "--out", out, "--workers", "2", "--quiet") == 0
    assert results_of(out) == results_of(converted[1])


def test_killed_in_the_middle_and_run_again(clips, converted, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, "2", "convert", str(clips), *BODIES, "--out", str(out), "--quiet"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    done = lines(out, "done")
    assert len(done) == 2
    left = out / min(set(results_of(converted[1])) - set(done))
    (left.parent / f".{left.name}.abcdefgh").mkdir(parents=True)  # as a kill in the middle of writing leaves it
    first = times_of(out)
    assert run(clips, *BODIES, "--out", out, "--quiet") == 0
    assert results_of(out) == results_of(converted[1])
    assert sorted(lines(out, "done")) == sorted(results_of(out))  # each once
    assert all(times_of(out)[out / name] == first[out / name] for name in done)
    assert not [path for path in out.rglob(".*") if path.is_dir()]


def test_one_file_to_one_file(clips, tmp_path, capsys):
    out = tmp_path / "new" / "walk.safetensors"
    assert run(clips / "clip1.npz", *BODIES, "-o", out) == 0
    assert vitruve.load_motion(out).body == "open-smplx"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {out.name, "walk-report"}
    assert {path.name for path in (tmp_path / "new" / "walk-report").iterdir()} == RECORDS
    assert "mean error" in capsys.readouterr().out


def test_masked_frames_stay_masked(tmp_path):
    source = write_clips(tmp_path / "in", 1) / "walk" / "clip0.npz"
    arrays = dict(np.load(source, allow_pickle=True))
    arrays["poses"][3] = np.nan
    np.savez(source, **arrays)
    assert run(source, *BODIES, "--out", tmp_path / "out.safetensors", "--quiet") == 0
    motion = vitruve.load_motion(tmp_path / "out.safetensors")
    assert motion.mask is not None and (~motion.mask).nonzero().flatten().tolist() == [3]
    assert json.loads((tmp_path / "out-report" / "results.json").read_text())["masked_frames"] == 1


def test_a_clip_without_any_data_is_a_bad_file(tmp_path, capsys):
    source = write_clips(tmp_path / "in", 1) / "walk" / "clip0.npz"
    arrays = dict(np.load(source, allow_pickle=True))
    arrays["poses"][:] = np.nan
    np.savez(source, **arrays)
    assert run(source, *BODIES, "--out", tmp_path / "out", "--quiet") == 4
    assert "fault of Vitruve" not in capsys.readouterr().err


def test_bones_of_a_bvh_are_those_of_the_target(clips, tmp_path):
    assert run(clips / "clip1.npz", *BODIES, "--out", tmp_path / "x.bvh", "--quiet") == 0
    assert len(vitruve.load_motion(tmp_path / "x.bvh")) == 8


def test_single_poses_keep_their_keys(tmp_path):
    from vitruve.convert.poses import read_poses

    rows = {key: {"poses": [0.1 * i] * 156} for i, key in enumerate("abc")}
    (tmp_path / "poses.json").write_text(json.dumps(rows))
    assert run(tmp_path / "poses.json", *BODIES, "--out", tmp_path / "out.npz", "--quiet") in (0, 5)
    poses = read_poses(tmp_path / "out.npz")
    assert poses.ids == ("a", "b", "c") and poses.layout == "smplx"
    assert json.loads((tmp_path / "out-report" / "results.json").read_text())["motion_hours"] == 0


def test_a_note_is_reported_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # and no folder of licensed bodies: each of two places notes that the open one is taken
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VITRUVE_BODIES", raising=False)
    (tmp_path / "poses.json").write_text(json.dumps({"a": [0.1] * 156}))
    run("poses.json", "--to", "smplx", "--out", "out.npz", "--quiet")
    entry = json.loads((tmp_path / "out-report" / "ledger.jsonl").read_text().splitlines()[-1])
    assert len(set(entry["warnings"])) == len(entry["warnings"]) >= 2


def test_betas_and_hands_from_files(clips, tmp_path):
    (tmp_path / "betas.txt").write_text("0.5, -1\n")
    np.save(tmp_path / "hands.npy", np.zeros((2, 45)))
    given = ("--betas", tmp_path / "betas.txt", "--hands", tmp_path / "hands.npy")
    status = run(clips / "clip1.npz", *BODIES, *given, "--out", tmp_path / "o.safetensors", "--quiet")
    assert status in (0, 5)  # the shape of another person may be too far from this one
    betas = vitruve.load_motion(tmp_path / "o.safetensors").betas
    assert betas[:2].tolist() == [0.5, -1] and not betas[2:].any()


@pytest.mark.parametrize(
    "arguments, status, printed",
    [
        (("gone.npz",), 3, "gone.npz"),
        (("{clips}", "--betas", "zer"), 2, "zero"),
        (("{clips}", "--betas", "{empty}"), 4, "not all numbers"),
        (("{clips}", "--hands", "{empty}"), 4, "two hands"),
        (("{clips}", "--shard", "3/2"), 2, "part of the work"),
        (("{clips}", "--format", "bvhh"), 2, "did you mean 'bvh'"),
        (("{clips}", "--out", "{empty}"), 2, "is an existing file"),
        (("{clips}", "--out", "{empty}/out"), 2, "cannot be written"),
        (("{clips}", "--out", "x.npz"), 2, "one file"),
        (("{clips}", "--out", "{clips}"), 2, "replace an input"),
        (("{clips}", "--from", "open-smpl"), 2, "not made on"),
        (("{clips}", "--to", "open-smply"), 2, "open-smplx"),
    ],
)
def test_what_is_impossible(clips, tmp_path, monkeypatch, capsys, arguments, status, printed):
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty.txt"
    empty.touch()
    before = sorted(tmp_path.rglob("*"))
    words = [word.format(clips=clips, empty=empty) for word in arguments]
    options = [word for pair in zip(BODIES[::2], BODIES[1::2]) if pair[0] not in words for word in pair]
    assert run(*words, *options, "--quiet") == status
    assert printed in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_something_else_is_left_alone(clips, tmp_path, capsys):
    (tmp_path / "results.json").write_text("{}")
    assert run(clips, *BODIES, "--out", tmp_path) == 2
    assert "record of another command" in capsys.readouterr().err and os.listdir(tmp_path) == ["results.json"]


def test_a_result_not_to_be_trusted_is_reported_loudly(clips, tmp_path, capsys, monkeypatch):
    import vitruve.convert.convert_file as convert_file

    convert = convert_file.convert_motion

    def mangled(motion, to, **options):
        from dataclasses import replace

        return replace(convert(motion, to, **options), trusted=False, warnings=("the mean error is 99 mm",))

    monkeypatch.setattr(convert_file, "convert_motion", mangled)
    assert run(clips / "clip1.npz", *BODIES, "--out", tmp_path / "o", "--quiet") == 5
    assert "DO NOT TRUST clip1.npz: the mean error is 99 mm" in capsys.readouterr().err
    assert (tmp_path / "o" / "clip1.npz").is_file()
    assert "not to be trusted" in (tmp_path / "o" / "report.html").read_text()


def test_that_other_software_reads_another_shape_is_reported_when_it_is_written(clips, tmp_path, capsys):
    printed = "the betas of open-smplx-neutral as SMPL-X's"
    assert run(clips / "clip1.npz", *BODIES, "--out", tmp_path / "o") in (0, 5)
    assert printed in capsys.readouterr().err.replace("\n", " ")
    (entry,) = [json.loads(line) for line in (tmp_path / "o" / "ledger.jsonl").read_text().splitlines()][1:]
    assert any(printed in warning for warning in entry["warnings"])
    assert printed in unescape((tmp_path / "o" / "report.html").read_text())
    # What is written for Vitruve alone needs no such word.
    assert run(clips / "clip1.npz", *BODIES, "--out", tmp_path / "o.safetensors", "--dry-run") == 0
    assert printed not in capsys.readouterr().err


def test_a_converted_file_keeps_its_body_where_a_licensed_one_lies(clips, tmp_path, capsys):
    """The open body's betas do not go through the SMPL-X that was found meanwhile, unless that is asked for."""
    assert run(clips / "clip1.npz", *BODIES, "--out", tmp_path / "walk.npz", "--quiet") in (0, 5)
    write_npz(tmp_path / "bodies" / "smplx" / "SMPLX_NEUTRAL.npz", random_values("smplx", 60, 10, 10))
    back = (tmp_path / "walk.npz", "--to", "open-smplh", "--bodies", tmp_path / "bodies", "--out", tmp_path / "o.npz")
    capsys.readouterr()
    assert run(*back, "--points", 60) in (0, 5)
    (entry,) = [json.loads(line) for line in (tmp_path / "o-report" / "ledger.jsonl").read_text().splitlines()][1:]
    assert entry["source"] == "open-smplx-neutral"
    assert run(*back, "--from", "smplx", "--dry-run") == 0
    assert "using smplx-neutral as requested" in capsys.readouterr().err
