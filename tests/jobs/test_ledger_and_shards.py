"""The ledger of what is done, and parts of the work."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruve.errors import UsageError
from vitruve.jobs.ledger import LedgerWriter, read_ledgers
from vitruve.jobs.shards import in_shard, parse_shard


@given(st.integers(1, 9))
def test_shards_are_disjoint_and_complete(parts):
    names = [f"folder/{i}.npz" for i in range(40)]
    for name in names:
        assert sum(in_shard(name, (part, parts)) for part in range(1, parts + 1)) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"])
def test_impossible_shards(text):
    with pytest.raises(UsageError, match="part of the work"):
        parse_shard(text)


def test_ledgers_are_read_together_and_torn_lines_are_none(tmp_path):
    for name, output in (("ledger.jsonl", "a"), ("ledger-2of2.jsonl", "b")):
        writer = LedgerWriter(tmp_path / name)
        writer.append({"event": "begun", "output": output})
        writer.append({"event": "done", "key": "k", "output": output, "content": output, "facts": {"frames": 3}})
        writer.close()
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"event": "begun", "output": "a", "ti')
    ledger = read_ledgers(tmp_path)
    assert ledger.done("a", "k") and ledger.done("b", "k") and not ledger.done("b", "other")
    assert ledger.facts == {"a": {"frames": 3}, "b": {"frames": 3}}
    writer = LedgerWriter(tmp_path / "ledger.jsonl")  # goes on after the torn line
    writer.append({"event": "done", "key": "k2", "output": "a"})
    writer.close()
    assert read_ledgers(tmp_path).done("a", "k2")


@given(st.integers(0, 400))
def test_a_ledger_cut_anywhere_loses_at_most_its_last_line(cut):
    import tempfile
    from pathlib import Path

    lines = [json.dumps({"event": "done", "key": "k", "output": f"é{i}", "time": float(i)}) for i in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        content = "\n".join(lines).encode()[:cut]
        (Path(folder) / "ledger.jsonl").write_bytes(content)
        whole = sum(content.startswith("\n".join(lines[: i + 1]).encode()) for i in range(5))
        assert len(read_ledgers(Path(folder)).last) == whole


def test_a_ledger_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        LedgerWriter(tmp_path / "file" / "ledger.jsonl")


def test_two_conversions_do_not_share_a_ledger(tmp_path):
    first = LedgerWriter(tmp_path / "ledger.jsonl")
    with pytest.raises(UsageError, match="another run"):
        LedgerWriter(tmp_path / "ledger.jsonl")
    LedgerWriter(tmp_path / "ledger-1of2.jsonl").close()
    first.close()
    LedgerWriter(tmp_path / "ledger.jsonl").close()


def test_names_that_are_no_text_go_through_a_ledger(tmp_path):
    odd = os.fsdecode(b"\xff.npz")
    writer = LedgerWriter(tmp_path / "ledger.jsonl")
    writer.append({"event": "done", "key": "k", "output": odd, "input": odd})
    writer.close()
    assert read_ledgers(tmp_path).done(odd, "k")
    assert sum(in_shard(odd, (part, 3)) for part in (1, 2, 3)) == 1
