"""Plans and ledgers: which files are meant, where they go, what counts as done; with no conversion at all."""

import json

import numpy as np
import pytest

import vitruve
from tests.material import small_motion
from vitruve.convert.batch import conversion_work
from vitruve.convert.options import Facts, Options
from vitruve.convert.outputs import outputs_of, place_of
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.jobs import inputs as finding
from vitruve.jobs.fingerprint import fingerprint
from vitruve.jobs.ledger import Ledger
from vitruve.jobs.motion_files import MOTION_FILES
from vitruve.jobs.plan import make_plan
from vitruve.jobs.work import Task

OPTIONS = Options(to="open-smplx", source="open-smplh")


def write(path, frames=3, seed=0):
    motion = small_motion("smplh", frames, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    return vitruve.save_motion(motion.replace(gender="neutral"), path)


@pytest.fixture
def tree(tmp_path):
    """Three motions in two folders, and what a folder of motions also holds."""
    root = tmp_path / "data"
    for seed, name in enumerate(("a_poses.npz", "walk/b.npz", "walk/deep/c.npz")):
        write(root / name, seed=seed)
    np.savez(root / "shape.npz", betas=np.zeros(10))
    (root / "walk" / "notes.md").write_text("about the data")
    (root / ".hidden").mkdir()
    write(root / ".hidden" / "d.npz")
    return root


def find_inputs(named, skip=None):
    return finding.find_inputs(named, MOTION_FILES, skip)


def plan_inputs(inputs, options, place, ledger, **more):
    outputs = outputs_of(inputs, place, options)
    return make_plan(conversion_work(options), inputs, outputs, place.folder, ledger, **more)


def relatives(inputs):
    return [entry.relative.as_posix() for entry in inputs]


def test_a_folder_gives_its_motions_with_their_tree(tree):
    inputs, passed = find_inputs([tree])
    assert relatives(inputs) == ["a_poses.npz", "walk/b.npz", "walk/deep/c.npz"]
    assert [path.name for path in passed] == ["shape.npz"]


def test_the_output_is_not_searched(tree):
    write(tree / "out" / "old.npz")
    assert len(find_inputs([tree], skip=tree / "out")[0]) == 3
    assert len(find_inputs([tree])[0]) == 4


def test_patterns_and_lists_keep_the_tree(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    assert relatives(find_inputs(["data/**/*.npz"])[0]) == ["a_poses.npz", "walk/b.npz", "walk/deep/c.npz"]
    listed = tree.parent / "files.txt"
    listed.write_text("# two of them\ndata/walk/b.npz\n\ndata/walk/deep/c.npz\n")
    for name in ("files.txt", "@files.txt"):
        assert relatives(find_inputs([name])[0]) == ["b.npz", "deep/c.npz"]


def test_a_pattern_does_not_run_round_in_a_link_to_a_folder_above(tree, monkeypatch):
    (tree / "walk" / "deep" / "up").symlink_to(tree)
    monkeypatch.chdir(tree.parent)
    found = relatives(find_inputs(["data/**/*.npz"])[0])
    assert found == ["a_poses.npz", "walk/b.npz", "walk/deep/c.npz"]


def test_a_file_named_twice_is_done_once(tree):
    assert len(find_inputs([tree, tree / "walk" / "b.npz"])[0]) == 3


def test_a_damaged_file_is_not_passed_over(tree):
    (tree / "bad.npz").write_bytes((tree / "a_poses.npz").read_bytes()[:200])
    assert "bad.npz" in relatives(find_inputs([tree])[0])


def test_a_folder_of_frames_is_one_motion(tmp_path):
    motion = small_motion("smplh", 3).replace(gender="neutral")
    vitruve.save_motion(motion, tmp_path / "data" / "clip.v2", format="transfer")
    inputs, _ = find_inputs([tmp_path / "data"])
    assert relatives(inputs) == ["clip.v2"]
    assert outputs_of(inputs, place_of(tmp_path / "out", 1), OPTIONS) == [tmp_path / "out" / "clip.v2.npz"]


@pytest.mark.parametrize("name", ["gone.npz", "gone/*.npz", "@list.txt"])
def test_what_is_not_there_is_said(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("gone.npz\n")
    with pytest.raises(MissingAsset, match="gone"):
        find_inputs([name])


def test_nothing_found_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no motion"):
        find_inputs([tmp_path])


def test_outputs_keep_names_and_take_the_ending_of_the_format(tree):
    inputs, _ = find_inputs([tree])
    place = place_of(tree.parent / "out", 3)
    for options, ending in ((OPTIONS, "npz"), (Options(to="open-smplx", format="vitruve"), "safetensors")):
        found = [path.relative_to(place.folder).as_posix() for path in outputs_of(inputs, place, options)]
        assert found == [f"a_poses.{ending}", f"walk/b.{ending}", f"walk/deep/c.{ending}"]


def test_a_path_with_the_ending_of_a_motion_is_a_file(tmp_path):
    assert place_of(tmp_path / "x.npz", 1).file == tmp_path / "x.npz"
    assert place_of(tmp_path / "x.npz", 1).folder == tmp_path / "x-report"
    assert place_of(tmp_path / "v1.5", 7).folder == tmp_path / "v1.5"
    with pytest.raises(UsageError, match="one file"):
        place_of(tmp_path / "x.npz", 2)
    (tmp_path / "notes.md").touch()
    with pytest.raises(UsageError, match="not a motion"):
        place_of(tmp_path / "notes.md", 1)


def test_two_inputs_with_one_output_are_refused(tmp_path):
    paths = [write(tmp_path / folder / "x.npz") for folder in "ab"]
    with pytest.raises(UsageError, match="same output") as error:
        plan_inputs(find_inputs(paths)[0], OPTIONS, place_of(tmp_path / "out", 2), Ledger())
    assert all(str(path) in error.value.where for path in paths)


def test_an_input_is_never_the_output(tree):
    with pytest.raises(UsageError, match="replace an input"):
        plan_inputs(find_inputs([tree])[0], OPTIONS, place_of(tree, 3), Ledger())


@pytest.mark.parametrize("name, what", [("amas", "unknown format"), ("asf-amc", "read-only")])
def test_formats_that_cannot_be_written(tree, name, what):
    with pytest.raises(UsageError, match=what):
        outputs_of(find_inputs([tree])[0], place_of(tree / "out", 3), Options(to="open-smplx", format=name))


@pytest.mark.parametrize("name, what", [("banana", "unknown format"), ("bvh", "does not have the ending")])
def test_a_format_that_does_not_go_with_one_output_file(tree, name, what):
    inputs = find_inputs([tree / "a_poses.npz"])[0]
    with pytest.raises(UsageError, match=what):
        outputs_of(inputs, place_of(tree / "x.npz", 1), Options(to="open-smplx", format=name))


@pytest.mark.parametrize("name", ["walk.glb", "walk.USDC", "pose.obj"])
def test_an_export_is_not_taken_for_the_name_of_a_folder(tree, name):
    with pytest.raises(UsageError, match="export format"):
        place_of(tree / name, 1)


def plan(tree, options=OPTIONS, ledger=None, **more):
    place = place_of(tree.parent / "out", 3)
    return plan_inputs(find_inputs([tree])[0], options, place, ledger or Ledger(), **more)


def keys(tree, options=OPTIONS):
    return {task.name: task.key for task in plan(tree, options).tasks}


def test_the_key_follows_content_options_and_bodies(tree):
    before = keys(tree)
    assert keys(tree) == before and len(set(before.values())) == 3
    for options in (
        Options(to="open-smplx", source="open-smplh", points=300),
        Options(to="open-smplx", source="open-smplh", betas=(0.0, 1.0)),
        Options(to="open-smplx-female", source="open-smplh"),
        Options(to="open-smplx", source="open-smplh-female"),
    ):
        assert not set(before.values()) & set(keys(tree, options).values())
    # The same body by another name is the same body.
    assert keys(tree, Options(to="open-smplx-neutral", source="open-smplh-neutral")) == before
    (tree / "walk" / "b.npz").unlink()
    write(tree / "walk" / "b.npz", seed=9)
    assert [name for name, key in keys(tree).items() if key != before[name]] == ["walk/b.npz"]


def test_a_name_without_gender_keeps_that_of_the_motion(tmp_path):
    vitruve.save_motion(small_motion("smplh", 3), tmp_path / "data" / "f.npz")
    task = plan(tmp_path / "data").tasks[0]
    assert (task.settings.source, task.settings.target) == ("open-smplh-female", "open-smplx-female")


def test_a_licensed_name_means_the_open_body_where_there_is_no_file(tree, tmp_path, monkeypatch):
    for variable in ("VITRUVE_BODIES", "SMPLFITTER_BODY_MODELS", "DATA_ROOT", "SMPLX_MODEL_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = plan(tree, Options(to="smplx", source="smplh"))
    assert {(task.settings.source, task.settings.target) for task in found.tasks} == {
        ("open-smplh-neutral", "open-smplx-neutral")
    }
    assert [note for note in found.notes if "taken as open-" in note] == list(found.notes[:2])
    assert len(found.notes) == 3 and all(task.notes == found.notes for task in found.tasks)
    with pytest.raises(MissingAsset, match="smplx-male"):  # a gender that is asked for is not guessed at
        plan(tree, Options(to="smplx-male"))


def test_the_genders_of_poses_go_to_bodies_of_their_own(tmp_path):
    (tmp_path / "data").mkdir()
    rows = {key: {"poses": [0.0] * 156, "gender": gender} for key, gender in zip("abc", ("male", "female", "male"))}
    (tmp_path / "data" / "poses.json").write_text(json.dumps(rows))
    place = place_of(tmp_path / "out.json", 1)
    inputs, _ = find_inputs([tmp_path / "data" / "poses.json"])
    (task,) = plan_inputs(inputs, OPTIONS, place, Ledger()).tasks
    assert task.facts == Facts("poses", 3, 0.0, "smplh", "female,male", "smplh52")
    assert task.settings.target == "open-smplx-female+open-smplx-male"
    with pytest.raises(UsageError, match="single poses"):
        plan_inputs(
            find_inputs([tmp_path / "data" / "poses.json"])[0], OPTIONS, place_of(tmp_path / "o.bvh", 1), Ledger()
        )


def test_the_wrong_source_is_refused_before_any_work(tree):
    with pytest.raises(UsageError, match="not made on") as error:
        plan(tree, Options(to="open-smplx", source="open-smplx"))
    assert "--from smplh" in error.value.fix


def test_a_format_that_cannot_hold_the_body_is_refused_before_any_work(tree):
    with pytest.raises(UsageError, match="cannot hold a motion on smplx55"):
        plan(tree, Options(to="open-smplx", source="open-smplh", format="amass-smplh"))


def test_one_bad_file_does_not_stop_the_plan(tree):
    (tree / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    found = plan(tree)
    assert len(found.tasks) == 3 and [entry["output"] for entry in found.failed] == ["bad.npz"]


def test_the_only_file_fails_with_its_own_error(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(BadData, match="is empty"):
        plan(tmp_path)


def test_an_output_that_is_not_ours_is_refused(tree):
    output = write(tree.parent / "out" / "walk" / "b.npz")
    found = plan(tree)
    assert len(found.tasks) == 2 and [entry["output"] for entry in found.failed] == ["walk/b.npz"]
    assert "exists already" in found.failed[0]["what"]
    jobs = plan(tree, overwrite=True).tasks
    assert all(task.overwrite for task in jobs) and output.exists()
    ours = Ledger(last={"walk/b.npz": {"event": "begun", "output": "walk/b.npz", "time": 1.0}})
    assert [task.name for task in plan(tree, ledger=ours).tasks if task.overwrite] == ["walk/b.npz"]


def test_done_is_the_same_key_and_a_file_that_is_there(tree):
    task = next(task for task in plan(tree).tasks if task.name == "walk/b.npz")
    line = {"event": "done", "key": task.key, "output": task.name, "time": 1.0}
    assert len(plan(tree, ledger=Ledger(last={task.name: line})).done) == 0
    line["result"] = fingerprint(write(tree.parent / "out" / "walk" / "b.npz"))
    for event, key, done in (("done", task.key, 1), ("begun", task.key, 0), ("done", "another", 0)):
        ledger = Ledger(last={task.name: {**line, "event": event, "key": key}})
        assert len(plan(tree, ledger=ledger).done) == done


def test_what_is_known_of_a_content_is_not_read_again(tree, monkeypatch):
    import vitruve.convert.batch as batch

    facts = {content: known.__dict__ for content, known in ((task.content, task.facts) for task in plan(tree).tasks)}
    monkeypatch.setattr(batch, "look", lambda path, options: pytest.fail("read again"))
    assert [task.facts for task in plan(tree, ledger=Ledger(facts=facts)).tasks] == [Facts(**f) for f in facts.values()]


def test_jobs_can_be_handed_to_another_process(tree):
    import pickle

    for task in plan(tree).tasks:
        assert isinstance(copy := pickle.loads(pickle.dumps(task)), Task) and copy == task


def test_links_in_a_circle_are_left_to_the_writer(tree, tmp_path):
    (tmp_path / "self").symlink_to("self")
    inputs = find_inputs([tree])[0][:1]
    assert plan_inputs(inputs, OPTIONS, place_of(tmp_path / "self" / "x.npz", 1), Ledger()).tasks
