"""`vitruve data prepare | split | show` as they are typed."""

import json

from tests.amass.amass import tree
from tests.command import run_command


def test_prepare_split_and_show(tmp_path, capsys):
    data, store = tree(tmp_path / "AMASS", {"CMU": 6, "SFU": 2}), tmp_path / "store"
    assert run_command("data", "prepare", data, "--out", store, "--dry-run") == 0 and not store.exists()
    assert "CMU: 6 files" in capsys.readouterr().out
    assert run_command("data", "prepare", data, "--out", store) == 0
    assert "8 clips" in capsys.readouterr().out
    assert run_command("data", "prepare", data, "--out", store) == 0
    assert "0 clips with 0 frames were added; 8 were there" in capsys.readouterr().out
    assert (
        run_command(
            "data", "split", store, "--by", "subject", "--out", tmp_path / "s.json", "--fractions", "a=0.5,b=0.5"
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "part" in out and "No subject and no motion is in two parts" in out
    assert set(json.loads((tmp_path / "s.json").read_text())["parts"]) == {"a", "b"}
    assert run_command("data", "show", store, "--json", "--inspect", "0", "--quiet", "--out", tmp_path / "report") == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 8
    assert (tmp_path / "report" / "report.html").is_file() and (tmp_path / "report" / "results.json").is_file()
    assert run_command("data", "show", store, "--inspect", "0") == 0
    assert "licence: AMASS licence: non-commercial scientific research; each set's own terms apply too (CMU, SFU)" in (
        capsys.readouterr().out
    )


def test_a_bad_file_sets_the_status(tmp_path, capsys):
    data = tree(tmp_path / "AMASS", {"CMU": 2})
    (data / "CMU" / "s0" / "bad_poses.npz").write_bytes(b"PK\x03\x04")
    assert run_command("data", "prepare", data, "--out", tmp_path / "store", "--quiet") == 4
    printed = capsys.readouterr()
    assert "bad_poses.npz left out" in printed.err and "failed.csv" in printed.err and printed.out == ""


def test_errors_of_splits(tmp_path, capsys):
    data, store = tree(tmp_path / "AMASS", {"CMU": 4, "Transitions": 2}), tmp_path / "store"
    assert run_command("data", "prepare", data, "--out", store, "--quiet") == 0
    assert run_command("data", "split", store, "--by", "vposer-v1", "--out", tmp_path / "v.json") == 3
    printed = capsys.readouterr()
    assert "lacks" in printed.out and "HumanEva" in printed.err
    assert 'note: inferred: "BML" there is taken as BMLrub' in printed.out
    # With val empty it would be refused also when sets may be missing.
    assert "--allow-missing" in printed.err and "would leave val empty" in printed.err
    assert run_command("data", "split", store, "--by", "subjects", "--out", tmp_path / "v.json") == 2
    assert run_command("data", "split", store, "--by", "hash", "--set", "KIT", "--out", tmp_path / "v.json") == 2
    assert "no set 'KIT'" in capsys.readouterr().err
    assert (
        run_command("data", "split", store, "--by", "hash", "--fractions", "a=0.5,b=0.5", "--out", tmp_path / "h.json")
        == 0
    )
    assert "leak: subject" in capsys.readouterr().err
    assert run_command("data", "show", tmp_path / "AMASS") == 3


def test_a_dry_split_fails_as_the_real_one_would(tmp_path, capsys):
    data, store = tree(tmp_path / "AMASS", {"CMU": 2}), tmp_path / "store"
    assert run_command("data", "prepare", data, "--out", store, "--quiet") == 0
    call = ("data", "split", store, "--out", tmp_path / "s.json", "--dry-run", "--by")
    assert run_command(*call, "subject") == 2
    assert "of the split is empty" in capsys.readouterr().err
    assert run_command(*call, "hash", "--fractions", "all=1") == 0
    assert "nothing was written" in capsys.readouterr().out and not (tmp_path / "s.json").exists()


def test_labels_are_added_and_shown(tmp_path, capsys):
    data, store = tree(tmp_path / "AMASS", {"CMU": 2}), tmp_path / "store"
    assert run_command("data", "prepare", data, "--out", store, "--quiet") == 0
    (tmp_path / "labels.csv").write_text("clip,style\nCMU/s0/clip_0,calm\nCMU/s9/none,calm\n")
    call = ("data", "label", store, "--by", tmp_path / "labels.csv")
    assert run_command(*call, "--dry-run") == 0 and not (store / "labels.jsonl").exists()
    assert run_command(*call) == 0
    printed = capsys.readouterr()
    assert "calm" in printed.out and "1 label added" in printed.out and "CMU/s9/none" in printed.err
    assert run_command(*call) == 0 and "0 labels added; the store has 1" in capsys.readouterr().out
    assert run_command("data", "show", store, "--inspect", "0") == 0 and "calm" in capsys.readouterr().out
    assert run_command("data", "label", store, "--by", "bandai-namco") == 2
    assert "no label for any clip" in capsys.readouterr().err
