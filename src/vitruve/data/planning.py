"""Plan a preparation: which files are new, which are copies, and which shard each goes into."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vitruve.amass.sets import set_licence
from vitruve.data.clips import CLIPS_FILE, check_shard, read_lines, shard_folders
from vitruve.data.licences import licence_by_name
from vitruve.data.sources import SourceFile, find_sources
from vitruve.data.write_shard import ShardJob, Target, actor_of
from vitruve.errors import UsageError
from vitruve.jobs.shards import Shard, in_shard

PLAN_FILE = "plan.json"
# Bytes of source files per shard. Retargeting text files is slow, so their shards are smaller: a killed run loses the
# shard it was writing, and processes share the work by shards.
_BODY_BYTES, _TREE_BYTES = 400_000_000, 6_000_000


@dataclass(frozen=True)
class Skipped:
    """A file that is not prepared because the store, or the file `taken`, has the same motion."""

    path: Path
    why: str
    taken: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What a preparation will do.

    Attributes:
        shards: to write, in order.
        done: number of files that are in the store already.
        skipped: copies.
        passed: files without a motion, and results of converting another of the files.
        actors: people without a shape yet, and their files.
        betas: known shapes by actor, from the store or from an interrupted plan.
        target: what motions on foreign skeletons are converted to.
        finished: shards of an interrupted plan that are written by now, as in the plan file.
    """

    shards: tuple[ShardJob, ...]
    done: int
    skipped: tuple[Skipped, ...]
    passed: tuple[Path, ...]
    actors: dict[str, list[SourceFile]] = field(default_factory=dict)
    betas: dict[str, tuple[float, ...]] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    finished: tuple[dict[str, Any], ...] = ()

    def part(self, shard: Shard) -> Plan:
        """The plan with the shards of one part of the work only."""
        return replace(self, shards=tuple(job for job in self.shards if in_shard(job.set, shard, job.number)))

    @property
    def files(self) -> list[SourceFile]:
        """The files to read."""
        return [source for shard in self.shards for source in shard.files]

    def as_dict(self, betas: dict[str, tuple[float, ...]]) -> dict[str, Any]:
        """What the next run needs to resume: the files of each shard and the shape of each actor."""
        shards = [
            {"set": job.set, "number": job.number, "files": [[source.key, source.content] for source in job.files]}
            for job in self.shards
        ]
        shards += self.finished
        return {"shards": shards, "betas": {actor: list(shape) for actor, shape in sorted(betas.items())}}


@dataclass
class _Stored:
    """What the store has: (content, source) by key, key by content, shapes by actor, last shard number by set."""

    by_key: dict[str, tuple[str, str]] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)
    betas: dict[str, tuple[float, ...]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def make_plan(
    given: Sequence[str | Path],
    store: Path,
    target: Target,
    *,
    set_name: str,
    licence: str,
    overwrite: bool = False,
    without: Collection[Path] = (),
    in_parts: bool = False,
) -> Plan:
    """Look at all files except `without` and plan; nothing is written. The other arguments are those of `prepare`.

    Args:
        in_parts: other parts of the work may have started. All follow the plan of the first, which lies in the store:
            its finished shards count as done, including the files that failed.
    """
    sources, passed = find_sources(given, set_name)
    sources = [replace(source, licence=licence or _licence(source)) for source in sources if source.path not in without]
    replaced = {source.set for source in sources} if overwrite else set()
    _check_loss(store, replaced, {source.key for source in sources})
    stored = _read_store(store, leave_out=replaced)
    new, skipped, done = _new(sources, stored)
    earlier = _earlier(store)
    finished = [shard for shard in earlier["shards"] if _is_written(shard, store)] if in_parts else []
    done_by_others = {key for shard in finished for key, _ in shard["files"]}
    new = [source for source in new if source.key not in done_by_others]
    kept = _kept(earlier["shards"], new, store)
    for shard in finished + kept:
        stored.last[shard["set"]] = max(stored.last[shard["set"]], shard["number"])
    planned = {source.key for shard in kept for source in shard["files"]}
    shards = tuple(
        ShardJob(str(store), shard["set"], shard["number"], tuple(shard["files"]), target)
        for shard in kept + _grouped([source for source in new if source.key not in planned], stored)
    )
    betas = stored.betas | earlier["betas"]
    actors: dict[str, list[SourceFile]] = defaultdict(list)
    for source in new:
        if source.is_tree and actor_of(source) not in betas:
            actors[actor_of(source)].append(source)
    return Plan(shards, done, tuple(skipped), tuple(passed), dict(actors), betas, target, tuple(finished))


def _check_loss(store: Path, replaced: Collection[str], keys: Collection[str]) -> None:
    """Raise where replacing sets would lose clips whose files were not given."""
    folders = [folder for folder in shard_folders(store) if folder.parent.name in replaced]
    lost = [line for folder in folders for line in read_lines(folder / CLIPS_FILE) if line["key"] not in keys]
    if lost:
        others = "" if len(lost) == 1 else f" and {len(lost) - 1:,} more"
        name = lost[0]["key"].split("/")[0]
        raise UsageError(
            f"overwriting {name} would lose clips of files that were not given",
            where=f"{lost[0]['key']}, from {lost[0]['source']}{others}",
            fix=f"give all files of the set; or delete {store / name} first, to leave these out",
        )


def _read_store(store: Path, leave_out: set[str]) -> _Stored:
    stored = _Stored()
    for folder in shard_folders(store):
        if folder.parent.name in leave_out:
            continue
        stored.last[folder.parent.name] = max(stored.last[folder.parent.name], int(folder.name))
        lines = read_lines(folder / CLIPS_FILE)
        check_shard(folder, lines)  # otherwise damaged clips would count as done
        for line in lines:
            stored.by_key[line["key"]] = (line["content"], line["source"])
            stored.by_content.setdefault(line["content"], line["key"])
            if line.get("actor"):
                stored.betas[line["actor"]] = tuple(line["betas"])
    return stored


def _new(sources: Sequence[SourceFile], stored: _Stored) -> tuple[list[SourceFile], list[Skipped], int]:
    """The files to read, each motion once; the copies; and the number of files already in the store."""
    new: list[SourceFile] = []
    skipped: list[Skipped] = []
    done = 0
    by_key: dict[str, SourceFile] = {}
    by_content: dict[str, SourceFile] = {}
    for source in sources:
        in_store = stored.by_key.get(source.key)
        if in_store and in_store[0] == source.content:
            done += 1
        elif in_store:
            skipped.append(Skipped(source.path, f"the store has another make of this clip, from {in_store[1]}"))
        elif source.content and source.content in stored.by_content:
            skipped.append(Skipped(source.path, f"the same motion as {stored.by_content[source.content]} of the store"))
        elif source.key in by_key:
            taken = by_key[source.key]
            what = "a copy" if source.content and source.content == taken.content else "another make of the clip"
            skipped.append(Skipped(source.path, f"{what}: {taken.path} is taken", taken.path))
        elif source.content and source.content in by_content:
            taken = by_content[source.content].path
            skipped.append(Skipped(source.path, f"the same motion as {taken}", taken))
        else:
            new.append(source)
            by_key[source.key] = by_content[source.content] = source
    return new, skipped, done


def _earlier(store: Path) -> dict[str, Any]:
    """The plan of an interrupted run; an empty one where there is none, or where it cannot be read."""
    try:
        plan = json.loads((store / PLAN_FILE).read_text(encoding="utf-8"))
        shards = [
            {"set": str(each["set"]), "number": int(each["number"]), "files": [(str(k), c) for k, c in each["files"]]}
            for each in plan["shards"]
        ]
        return {"shards": shards, "betas": {actor: tuple(map(float, b)) for actor, b in plan["betas"].items()}}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {"shards": [], "betas": {}}


def _kept(shards: Sequence[dict[str, Any]], new: Sequence[SourceFile], store: Path) -> list[dict[str, Any]]:
    """The unwritten shards of an interrupted plan whose files are unchanged."""
    by_key = {source.key: source for source in new}
    kept = []
    for shard in shards:
        files = [by_key.get(key) for key, _ in shard["files"]]
        same = all(file and file.content == content for file, (_, content) in zip(files, shard["files"]))
        if same and not _is_written(shard, store):
            kept.append({**shard, "files": files})
    return kept


def _is_written(shard: dict[str, Any], store: Path) -> bool:
    return (store / shard["set"] / f"{shard['number']:04d}").exists()


def is_finished(store: Path) -> bool:
    """Whether all shards of a store's plan are written."""
    return all(_is_written(shard, store) for shard in _earlier(store)["shards"])


def _grouped(sources: Sequence[SourceFile], stored: _Stored) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    room = 0
    for source in sorted(sources, key=lambda source: (source.set, source.is_tree, source.key)):
        last = groups[-1] if groups else None
        if not last or last["set"] != source.set or last["files"][0].is_tree != source.is_tree or room < source.size:
            stored.last[source.set] += 1
            groups.append({"set": source.set, "number": stored.last[source.set], "files": []})
            room = _TREE_BYTES if source.is_tree else _BODY_BYTES
        groups[-1]["files"].append(source)
        room -= source.size
    return groups


def _licence(source: SourceFile) -> str:
    """By the folder for AMASS; for text files by the file's name, since CMU's own files lie in a folder CMU too."""
    return (licence_by_name(source.path.name) if source.is_tree else set_licence(source.set)) or ""
