"""A run's folder stands whole or not at all, is never replaced unasked, and says how it came about."""

import json
import os
import stat
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vitruve
from vitruve.errors import BadData, MissingAsset, NotWritten, UsageError
from vitruve.files.hashes import file_hash
from vitruve.files.toml import to_toml
from vitruve.runs import run_folder
from vitruve.runs.folder import RunFolder, check_out
from vitruve.runs.versions import git_commit, versions


def make(out, text="one", **kwargs):
    with run_folder(out, "demo", {"text": text}, **kwargs) as run:
        (run.path / "file.txt").write_text(text)
        run.results({"length": len(text)})
    return Path(out)


def test_folder_has_what_was_written_and_how(tmp_path):
    source = tmp_path / "in.npz"
    source.write_bytes(b"abc")
    options = {"frames": 8, "out": tmp_path / "o", "body": None, "rate": 0.5, "names": ["a", "b"]}
    with run_folder(tmp_path / "o", "demo", options, inputs=[source]) as run:
        assert run.path != run.place == tmp_path / "o" and not run.place.exists()
        run.note(body="open")
        run.results({"height_m": 1.7})
    record = tomllib.loads((tmp_path / "o" / "run.toml").read_text())
    assert record["command"] == "vitruve demo"
    assert record["options"] == {"frames": 8, "out": str(tmp_path / "o"), "rate": 0.5, "names": ["a", "b"]}
    assert "# body is not set" in (tmp_path / "o" / "run.toml").read_text()
    assert record["versions"]["vitruve"] == vitruve.__version__
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"torch", "numpy", "platform"} <= record["versions"].keys()
    assert record["inputs"] == {str(source): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert record["notes"] == {"body": "open"} and record["seconds"] >= 0
    assert json.loads((tmp_path / "o" / "results.json").read_text()) == {"height_m": 1.7}
    assert sorted(os.listdir(tmp_path)) == ["in.npz", "o"]


def test_an_existing_run_is_kept_unless_asked(tmp_path):
    out = make(tmp_path / "o")
    with pytest.raises(UsageError, match="--overwrite"):
        make(out, "two")
    assert (out / "file.txt").read_text() == "one"
    make(out, "two", overwrite=True)
    assert (out / "file.txt").read_text() == "two"
    assert os.listdir(tmp_path) == ["o"]


def test_what_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(make(tmp_path / "run"))
    for name in ("home", "file", "link"):
        with pytest.raises(UsageError):
            make(tmp_path / name, overwrite=True)
    assert (tmp_path / "home" / "precious.txt").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == ["file", "home", "link", "run"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "o").mkdir()
    assert (make(tmp_path / "o") / "run.toml").is_file()


def test_missing_parents_are_made(tmp_path):
    assert (make(tmp_path / "a" / "b" / "o") / "run.toml").is_file()


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_that_breaks_leaves_nothing_and_the_earlier_run_stands(tmp_path, failure, earlier):
    if earlier:
        make(tmp_path / "o")
    with pytest.raises(failure), run_folder(tmp_path / "o", "demo", {}, overwrite=True) as run:
        (run.path / "half.txt").write_text("half")
        raise failure
    assert os.listdir(tmp_path) == (["o"] if earlier else [])
    if earlier:
        assert (tmp_path / "o" / "file.txt").read_text() == "one"


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_an_interrupt_while_replacing_keeps_the_earlier_run(tmp_path, monkeypatch, failure):
    out, rename = make(tmp_path / "o"), Path.rename

    def fail_on_the_last(self, target):
        if "partial" in self.name and not self.name.endswith("-earlier"):
            raise failure
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_on_the_last)
    with pytest.raises(failure):
        make(out, "two", overwrite=True)
    assert os.listdir(tmp_path) == ["o"] and (out / "file.txt").read_text() == "one"


def test_the_folder_of_another_command_is_never_replaced(tmp_path):
    RunFolder(tmp_path, tmp_path, "convert", {}).record({})
    (tmp_path / "walk.npz").write_text("hours of work")
    with pytest.raises(UsageError, match="not one of `vitruve demo`") as caught:
        make(tmp_path, overwrite=True)
    assert "vitruve convert" in caught.value.where and (tmp_path / "walk.npz").is_file()
    (tmp_path / "run.toml").write_text("no toml")
    with pytest.raises(UsageError, match="not one of `vitruve demo`"):
        make(tmp_path, overwrite=True)


def test_a_run_that_finishes_second_does_not_replace_the_first(tmp_path):
    with pytest.raises(UsageError), run_folder(tmp_path / "o", "demo", {}):
        make(tmp_path / "o")
    assert (tmp_path / "o" / "file.txt").read_text() == "one"
    assert os.listdir(tmp_path) == ["o"]


def test_the_folder_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").mkdir()
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (make(tmp_path / "o"), tmp_path / "plain")]
    assert modes[0] == modes[1]


def test_a_missing_input_is_said_before_anything_is_done(tmp_path):
    with pytest.raises(MissingAsset, match=r"nowhere\.npz"), run_folder(tmp_path / "o", "demo", {}, ["nowhere.npz"]):
        pytest.fail("the block must not run")
    assert os.listdir(tmp_path) == []


def test_out_below_a_file_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="--out"):
        make(tmp_path / "file" / "o")


def test_check_out_accepts_new_and_empty(tmp_path):
    check_out(tmp_path / "new", "demo")
    check_out(tmp_path, "demo")


def test_results_take_arrays_and_refuse_nan(tmp_path):
    with run_folder(tmp_path / "o", "demo", {}) as run:
        run.results({"a": np.float32(0.5), "b": torch.arange(2), "c": {"d": (1, None, True)}, "e": Path("x")})
        with pytest.raises(BadData, match=r"c\.d\[1\]"):
            run.results({"c": {"d": [1.0, float("nan")]}})
        with pytest.raises(TypeError):
            run.results({"bad": object()})
        assert os.listdir(run.path) == ["results.json"]
    expected = {"a": 0.5, "b": [0, 1], "c": {"d": [1, None, True]}, "e": "x"}
    assert json.loads((tmp_path / "o" / "results.json").read_text()) == expected


def test_a_pipe_or_device_has_no_content_to_hash():
    with pytest.raises(BadData, match="is not a file"):
        file_hash(os.devnull)


def test_names_that_are_no_text_are_recorded_all_the_same(tmp_path):
    with run_folder(tmp_path / "out", "demo", options={"file": "\udcff.npz"}) as run:
        run.results({"\udcff": 1})
        run.report("\udcff")
    assert tomllib.loads((tmp_path / "out" / "run.toml").read_text())["options"]["file"] == "?.npz"
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == {"?": 1}


def test_file_hash_follows_content(tmp_path):
    (tmp_path / "a").write_bytes(b"1" * 100_000)
    (tmp_path / "b").write_bytes(b"1" * 99_999 + b"2")
    assert file_hash(tmp_path / "a") != file_hash(tmp_path / "b")


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
TABLES = st.recursive(
    st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=4),
    lambda inner: st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES | inner, max_size=3),
    max_leaves=4,
)


@given(TABLES)
def test_toml_reads_back_as_written(table):
    assert tomllib.loads(to_toml(table)) == table


def test_toml_says_what_it_cannot_hold():
    with pytest.raises(TypeError, match="set"):
        to_toml({"a": {1, 2}})
    assert tomllib.loads(to_toml({"a\n]": None, "b": 1})) == {"b": 1}


def test_versions_name_what_counts():
    found = versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    commit = git_commit()
    assert commit == "" or set(commit.removesuffix("-dirty")) <= set("0123456789abcdef")


def test_a_folder_that_grows_has_whole_records(tmp_path):
    """As `vitruve convert` uses it: it begins, goes on, and ends, and a part of the work has records of its own."""
    run = RunFolder(tmp_path, tmp_path, "convert", {"to": "smplx", "out": tmp_path}, suffix="-1of2")
    run.record({}, done=False)
    begun = tomllib.loads((tmp_path / "run-1of2.toml").read_text())
    assert "seconds" not in begun and begun["options"] == {"to": "smplx", "out": str(tmp_path)}
    run.results({"files": 2})
    run.report("<!DOCTYPE html>")
    run.record({"in.npz": "abc"})
    ended = tomllib.loads((tmp_path / "run-1of2.toml").read_text())
    assert ended["started"] == begun["started"] and ended["seconds"] >= 0 and ended["inputs"] == {"in.npz": "abc"}
    assert sorted(os.listdir(tmp_path)) == ["report-1of2.html", "results-1of2.json", "run-1of2.toml"]


def test_a_report_is_whole_or_not_there(tmp_path, monkeypatch):
    run = RunFolder(tmp_path, tmp_path, "demo", {})
    run.report("one")

    def fail(self, target):
        raise OSError

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(NotWritten):
        run.report("two")
    assert os.listdir(tmp_path) == ["report.html"] and (tmp_path / "report.html").read_text() == "one"


@pytest.mark.parametrize("name", ["results.json", "poses.NPZ", "report.html"])
def test_the_name_of_a_file_makes_no_folder(tmp_path, name):
    with pytest.raises(UsageError, match="file name") as caught, run_folder(tmp_path / name, "demo", {}):
        pass
    assert name in caught.value.where and caught.value.fix.endswith(name.split(".")[0]) and not list(tmp_path.iterdir())
    with run_folder(tmp_path / "v1.5", "demo", {}):
        pass
