"""Unpacking: whole or not at all, never twice, nothing outside the folder, whatever an archive holds."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitruve.amass import archives
from vitruve.amass.unpack import unpack
from vitruve.cli.data_unpack import unpack as command
from vitruve.errors import BadData, MissingAsset, NotWritten, UsageError

Contents = dict[str, bytes]


def clip(frames: int = 5, columns: int = 156) -> bytes:
    file = io.BytesIO()
    poses = np.random.default_rng(frames).normal(size=(frames, columns))
    np.savez(file, poses=poses, trans=np.zeros((frames, 3)), mocap_framerate=120.0)
    return file.getvalue()


def release(folder: str, clips: int = 3, ending: str = "_poses.npz") -> Contents:
    """The files of a set as its archive has them."""
    columns = 165 if ending == "_stageii.npz" else 156
    files = {f"{folder}/s{number % 2}/clip {number}{ending}": clip(number + 5, columns) for number in range(clips)}
    shape = "shape.npz" if ending == "_poses.npz" else "neutral_stagei.npz"
    return {f"{folder}/LICENSE.txt": b"terms", f"{folder}/s0/{shape}": b"no motion", **files}


def tar(path: Path, contents: Contents, change: Callable[[tarfile.TarInfo], None] = lambda entry: None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with packed(path, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:  # type: ignore[arg-type]
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            change(entry)
            archive.addfile(entry, io.BytesIO(data) if entry.isreg() else None)
    return path


def zipped(path: Path, contents: Contents) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0][0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".vitruve-unpack").iterdir() if path.is_dir() or path.suffix == ".tmp"]


@pytest.mark.parametrize("ending", [".tar.bz2", ".tar.gz", ".tar.xz", ".tar", ".zip"])
@pytest.mark.parametrize("generation", ["_poses.npz", "_stageii.npz"])
def test_every_file_comes_out_as_it_went_in(ending: str, generation: str, tmp_path: Path):
    folder = "BioMotionLab_NTroje" if generation == "_poses.npz" else "BMLrub"
    contents = release(folder, ending=generation)
    archive = (zipped if ending == ".zip" else tar)(tmp_path / f"BMLrub{ending}", contents)
    report = unpack([archive], tmp_path / "AMASS")
    assert files(tmp_path / "AMASS") == contents
    assert not report.failed and leftovers(tmp_path / "AMASS") == []
    row = report.rows[0]
    assert (row.set, row.state, row.folders, row.clips, row.frames) == ("BMLrub", "unpacked", (folder,), 3, 5 + 6 + 7)
    assert row.notes == ("3 clips, the release has 3,061",)
    assert report.found and len(report.found.missing) == 18


def test_many_archives_of_a_folder_at_once_and_again_is_no_work(tmp_path: Path):
    names = {"ACCAD": "ACCAD", "MPIHDM05": "MPI_HDM05", "EyesJapanDataset": "Eyes_Japan_Dataset", "KIT": "KIT"}
    for name, folder in names.items():
        tar(tmp_path / "downloads" / f"{name}.tar.bz2", release(folder))
    (tmp_path / "downloads" / "readme.txt").write_text("no archive")
    seen: list[tuple[int, int]] = []
    first = unpack([tmp_path / "downloads"], tmp_path / "out", workers=3, progress=lambda *now: seen.append(now))
    assert {row.set for row in first.rows} == {"ACCAD", "HDM05", "EyesJapanDataset", "KIT"} and seen
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")}
    again = unpack([tmp_path / "downloads"], tmp_path / "out")
    assert [row.state for row in again.rows] == ["done before"] * 4
    assert [(row.set, row.clips, row.notes) for row in again.rows] == [(r.set, r.clips, r.notes) for r in first.rows]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")} == before


def test_a_copy_of_an_archive_is_known_by_its_content(tmp_path: Path):
    archive = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    unpack([archive], tmp_path / "out")
    copy = tmp_path / "CMU (1).tar.bz2"
    copy.write_bytes(archive.read_bytes())
    assert unpack([copy], tmp_path / "out").rows[0].state == "done before"


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"")])
def test_what_was_deleted_or_cut_is_unpacked_again_when_asked(tmp_path: Path, damage: Callable[[Path], object]):
    archive = tar(tmp_path / "CMU.tar.bz2", contents := release("CMU"))
    unpack([archive], tmp_path / "out")
    damage(file := next((tmp_path / "out").rglob("*_poses.npz")))
    assert unpack([archive], tmp_path / "out", dry_run=True).rows[0].state == "to do"
    row = unpack([archive], tmp_path / "out").rows[0]
    assert isinstance(row.error, UsageError) and "--overwrite" in row.error.fix and str(file) in row.error.where
    assert unpack([archive], tmp_path / "out", overwrite=True).rows[0].state == "unpacked"
    assert files(tmp_path / "out") == contents and leftovers(tmp_path / "out") == []


def test_the_other_generation_does_not_mix_in(tmp_path: Path):
    unpack([tar(tmp_path / "a" / "CMU.tar.bz2", contents := release("CMU"))], tmp_path / "out")
    other = tar(tmp_path / "b" / "CMU.tar.bz2", release("CMU", ending="_stageii.npz"))
    row = unpack([other], tmp_path / "out").rows[0]
    assert isinstance(row.error, UsageError) and "CMU.tar.bz2" in row.error.what
    assert files(tmp_path / "out") == contents and leftovers(tmp_path / "out") == []


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".tar.bz2", ".tar.gz", ".tar"])
def test_an_archive_that_is_cut_short_names_the_member_and_leaves_nothing(ending: str, keep: float, tmp_path: Path):
    whole = tar(tmp_path / f"KIT{ending}", release("KIT", clips=40)).read_bytes()
    other = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    archive = tmp_path / f"short{ending}"
    archive.write_bytes(whole[: int(keep * len(whole))])
    report = unpack([archive, other], tmp_path / "out")
    assert [row.state for row in report.rows] == ["failed", "unpacked"]
    error = report.rows[0].error
    assert isinstance(error, BadData) and "cut short" in error.what
    assert keep < 0.9 or "KIT/" in error.where
    assert {name.partition("/")[0] for name in files(tmp_path / "out")} == {"CMU"}
    assert leftovers(tmp_path / "out") == []


def test_a_tar_cut_between_two_members_is_cut_short(tmp_path: Path):
    archive = tar(tmp_path / "KIT.tar", contents := release("KIT"))
    sizes = [512 + -(-len(data) // 512) * 512 for data in contents.values()]
    for cut in (sum(sizes[:3]), sum(sizes[:3]) + 300):
        (tmp_path / "short.tar").write_bytes(archive.read_bytes()[:cut])
        error = unpack([tmp_path / "short.tar"], tmp_path / "out").rows[0].error
        assert error is not None and "cut short" in error.what, error


def test_a_byte_that_flipped_is_damage(tmp_path: Path):
    for name, make in (("KIT.tar.bz2", tar), ("KIT.zip", zipped)):
        archive = make(tmp_path / name, release("KIT"))
        data = bytearray(archive.read_bytes())
        data[len(data) // 3] ^= 255
        archive.write_bytes(data)
        row = unpack([archive], tmp_path / "out").rows[0]
        assert row.error is not None and "KIT" in row.error.where and row.error.exit_code == 4


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../out.npz", "CMU/../../out.npz", "C:/x.npz", "CMU\\..\\x.npz", "CMU/a\nb.npz"]
)
def test_paths_that_lead_out_are_refused(name: str, tmp_path: Path):
    contents = {**release("CMU"), name: b"no"}
    for archive in (tar(tmp_path / "in" / "CMU.tar.bz2", contents), zipped(tmp_path / "in" / "CMU.zip", contents)):
        row = unpack([archive], tmp_path / "out").rows[0]
        assert row.error is not None and "refused" in row.error.what and name[:5].strip() in row.error.where
        assert files(tmp_path / "out") == {} and leftovers(tmp_path / "out") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path):
    def change(entry: tarfile.TarInfo) -> None:
        if "LICENSE" in entry.name:
            entry.type, entry.linkname, entry.size = kind, "/etc", 0

    row = unpack([tar(tmp_path / "CMU.tar.bz2", release("CMU"), change)], tmp_path / "out").rows[0]
    assert row.error is not None and "link or a device" in row.error.what and "LICENSE" in row.error.where
    assert files(tmp_path / "out") == {}


def test_a_file_with_holes_is_refused_since_its_zeros_are_never_read(tmp_path: Path):
    def change(entry: tarfile.TarInfo) -> None:
        if "LICENSE" in entry.name:
            entry.pax_headers = {"GNU.sparse.map": "0,5", "GNU.sparse.size": str(10**12)}

    row = unpack([tar(tmp_path / "CMU.tar.bz2", release("CMU"), change)], tmp_path / "out").rows[0]
    assert row.error is not None and "refused" in row.error.what and files(tmp_path / "out") == {}


def test_a_link_in_a_zip_and_a_path_twice_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "CMU.zip", "w") as archive:
        link = zipfile.ZipInfo("CMU/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc")
    with tarfile.open(tmp_path / "KIT.tar.bz2", "w:bz2") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("KIT/a_poses.npz"))
    report = unpack([tmp_path / "CMU.zip", tmp_path / "KIT.tar.bz2"], tmp_path / "out")
    assert ["link" in str(report.rows[0].error), "twice" in str(report.rows[1].error)] == [True, True]


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "_LEAST_LIMIT", 1 << 20)
    bomb = {"CMU/bomb_poses.npz": bytes(20 << 20)}
    for archive in (tar(tmp_path / "CMU.tar.bz2", bomb), zipped(tmp_path / "CMU.zip", bomb)):
        row = unpack([archive], tmp_path / "out").rows[0]
        assert row.error is not None and "far more" in row.error.what
    # Zeros after the end of the archive are read too, and count.
    (tmp_path / "KIT.tar.bz2").write_bytes(bz2.compress(bytes(20 << 20)))
    assert "far more" in str(unpack([tmp_path / "KIT.tar.bz2"], tmp_path / "out").rows[0].error)


def test_a_web_page_and_an_empty_file_are_no_archives(tmp_path: Path):
    (tmp_path / "CMU.tar.bz2").write_text("<!DOCTYPE html><html>please log in</html>" * 40)
    (tmp_path / "KIT.tar.bz2").write_bytes(b"")
    report = unpack([tmp_path / "CMU.tar.bz2", tmp_path / "KIT.tar.bz2"], tmp_path / "out")
    assert all("is not an archive" in str(row.error) for row in report.rows)
    assert "web page" in str(report.rows[0].error)


def test_archives_packed_otherwise_get_the_folder_of_the_release(tmp_path: Path):
    inside = {name.partition("/")[2]: data for name, data in release("x").items()}
    bare = tar(tmp_path / "MPIHDM05.tar.bz2", {"./" + name: data for name, data in inside.items()})
    deep = tar(tmp_path / "b.tar.bz2", {f"smplh/{name}": data for name, data in release("SSM_synced").items()})
    other = tar(tmp_path / "BML.tar.bz2", release("mine"))
    nested = tar(tmp_path / "BMLrub.tar.bz2", {f"BMLrub/{n}": d for n, d in release("BioMotionLab_NTroje").items()})
    mac = tar(tmp_path / "CMU.tar.bz2", {**release("CMU"), "CMU/._x": b"", "__MACOSX/y": b"", "CMU/.DS_Store": b""})
    report = unpack([bare, deep, other, nested, mac], tmp_path / "out")
    assert [row.folders for row in report.rows] == [("MPI_HDM05",), ("SSM_synced",), ("mine",), ("BMLrub",), ("CMU",)]
    assert [row.set for row in report.rows] == ["HDM05", "SSM", "", "BMLrub", "CMU"]
    assert "it is probably BMLrub" in report.rows[2].notes[0]
    expected = {**release("SSM_synced"), **release("mine"), **release("CMU")}
    expected |= {f"MPI_HDM05/{name}": data for name, data in inside.items()}
    expected |= {f"BMLrub/{name}": data for name, data in release("BioMotionLab_NTroje").items()}
    assert files(tmp_path / "out") == expected
    assert report.found and {each.set for each in report.found.folders} == {"HDM05", "SSM", "BMLrub", "CMU"}


def test_a_clip_that_cannot_be_read_is_told_and_the_rest_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    contents = {**release("CMU"), "CMU/s1/bad_poses.npz": clip()[:-100]}
    archive = tar(tmp_path / "CMU.tar.bz2", contents)
    assert command(archive, out=tmp_path / "out") == 4
    assert "1 clips cannot be read, the first is bad_poses.npz" in capsys.readouterr().out
    assert files(tmp_path / "out") == contents


def test_killed_at_any_moment_the_next_run_goes_on(tmp_path: Path):
    for name in ("CMU", "KIT", "ACCAD"):
        tar(tmp_path / "in" / f"{name}.tar.bz2", release(name, clips=12))
    # Killed when so many files were written, or so many renames made.
    script = """
import os, signal, sys
from vitruve.amass import archives
from vitruve.amass import unpack
count = [0]
def killing(call):
    def counted(*a, **k):
        count[0] += 1
        if count[0] == int(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)
        return call(*a, **k)
    return counted
archives._write = killing(archives._write)
os.replace = killing(os.replace)
unpack.unpack([sys.argv[1]], sys.argv[2], workers=1)
"""
    expected = {n: d for name in ("CMU", "KIT", "ACCAD") for n, d in release(name, clips=12).items()}
    for moment in (9, 15, 16, 17):
        out = tmp_path / f"out{moment}"
        arguments = [sys.executable, "-c", script, str(tmp_path / "in"), str(out), str(moment)]
        assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
        there = files(out)
        assert {n.partition("/")[0] for n in there} <= {"ACCAD", "CMU", "KIT"}
        assert all(there.get(n) == d for n, d in expected.items() if (out / n.partition("/")[0]).exists())
        report = unpack([tmp_path / "in"], out)
        assert not report.failed, [str(row.error) for row in report.failed]
        assert files(out) == expected and leftovers(out) == []


def test_stopped_by_hand_it_ends_at_once_and_tidily(tmp_path: Path):
    for name in ("CMU", "KIT", "ACCAD"):
        tar(tmp_path / "in" / f"{name}.tar", release(name, clips=200))
    script = """
import os, signal, sys, time
from vitruve.amass import archives
from vitruve.amass import unpack
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
write, count = archives._write, [0]
def slow(*given):
    count[0] += 1
    if count[0] == 5: os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    write(*given)
archives._write = slow
try:
    unpack.unpack([sys.argv[1]], sys.argv[2], workers=2)
finally:
    print(count[0])
"""
    arguments = [sys.executable, "-c", script, str(tmp_path / "in"), str(tmp_path / "out")]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr and int(done.stdout) < 200  # of 600
    assert files(tmp_path / "out") == {} and leftovers(tmp_path / "out") == []


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    archive = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    monkeypatch.setattr(archives.shutil, "copyfileobj", full)
    row = unpack([archive], tmp_path / "out").rows[0]
    assert isinstance(row.error, NotWritten) and str(tmp_path / "out") in row.error.where
    assert "no space left" in row.error.what and "run it again" in row.error.fix and leftovers(tmp_path / "out") == []


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path):
    fcntl = pytest.importorskip("fcntl", reason="locks of files are a thing of Unix")
    archive = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    unpack([archive], tmp_path / "out")
    with (tmp_path / "out" / ".vitruve-unpack" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another run"):
            unpack([archive], tmp_path / "out")


def test_a_stamp_that_is_no_stamp_is_passed_over(tmp_path: Path):
    archive = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    (tmp_path / "out" / ".vitruve-unpack").mkdir(parents=True)
    (tmp_path / "out" / ".vitruve-unpack" / "x.json").write_text(json.dumps({"archive": 3}))
    assert unpack([archive], tmp_path / "out").rows[0].state == "unpacked"


def test_the_command_lists_first_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tar(tmp_path / "in" / "ACCAD.tar.bz2", release("ACCAD"))
    tar(tmp_path / "in" / "BML.tar.bz2", release("ACCAD"))
    assert command(tmp_path / "in", out=tmp_path / "out", dry_run=True) == 0
    said = capsys.readouterr().out
    assert "to do" in said and "probably BMLrub" in said and "18 of the 19 sets are missing: BMLhandball" in said
    assert not (tmp_path / "out").exists()
    assert command(tmp_path / "in" / "ACCAD.tar.bz2", out=tmp_path / "out") == 0
    assert "ACCAD.tar.bz2: 3 clips, the release has 252" in capsys.readouterr().out


def test_no_archive_is_an_error_before_any_work(tmp_path: Path):
    with pytest.raises(MissingAsset):
        unpack([tmp_path / "none.tar.bz2"], tmp_path / "out")
    with pytest.raises(MissingAsset, match="no archives in this folder"):
        unpack([tmp_path], tmp_path / "out")
    with pytest.raises(UsageError):
        unpack([], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_packed_but_no_tar_is_damaged(tmp_path: Path):
    path = tar(tmp_path / "CMU.tar.bz2", release("CMU"))
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(bytes(data))
    (row,) = unpack([path], tmp_path / "out").rows
    assert row.error is not None and row.error.what == "CMU.tar.bz2 is damaged"


def test_an_archive_without_clips_says_so_and_names_archives_in_it(tmp_path: Path):
    path = tar(tmp_path / "PosePrior.tar.bz2", {"PosePrior/CMU.tar.bz2": b"BZh"})
    (row,) = unpack([path], tmp_path / "out").rows
    assert "it has no clips, but archives: CMU.tar.bz2" in row.notes


def test_names_are_not_cut_where_the_output_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    name = "BMLrub_of_a_rather_long_name_that_would_not_fit_beside_the_others.tar.bz2"
    command(tar(tmp_path / name, release("BioMotionLab_NTroje")), out=tmp_path / "out")
    assert f"{name}  BMLrub  unpacked  BioMotionLab_NTroje  3" in capsys.readouterr().out


def test_sets_are_found_below_folders_of_other_names(tmp_path: Path):
    path = tar(tmp_path / "BMLrub.tar.bz2", {f"a/b/{name}": data for name, data in release("BMLrub").items()})
    (row,) = unpack([path], tmp_path / "out").rows
    assert (row.set, row.folders, row.clips) == ("BMLrub", ("BMLrub",), 3)
    assert "the folder a/b around the sets was left out" in row.notes
    other = tar(tmp_path / "mine.tar.bz2", {f"a/b/{name}": data for name, data in release("lab").items()})
    (row,) = unpack([other], tmp_path / "out").rows
    assert row.folders == ("a",) and (tmp_path / "out" / "a" / "b" / "lab").is_dir()


def test_a_pipe_is_no_archive(tmp_path: Path):
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "CMU.tar.bz2")
    with pytest.raises(BadData, match="is not a file"):
        unpack([tmp_path / "CMU.tar.bz2"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fault_of_ours_with_one_archive_does_not_stop_the_others(tmp_path, monkeypatch):
    from vitruve.amass import unpack as library

    files = [tar(tmp_path / f"{name}.tar.bz2", release(name)) for name in ("ACCAD", "KIT")]
    count_clips = library.count_clips

    def broken(folder):
        if folder.name == "ACCAD":
            raise ZeroDivisionError("odd")
        return count_clips(folder)

    monkeypatch.setattr(library, "count_clips", broken)
    report = unpack(files, tmp_path / "out")
    assert [row.state for row in report.rows] == ["failed", "unpacked"]
    error = report.rows[0].error
    assert error is not None and "ZeroDivisionError" in error.what and "ACCAD.tar.bz2" in error.where
    assert not (tmp_path / "out" / "ACCAD").exists() and not list((tmp_path / "out").rglob("*.partial-*"))
