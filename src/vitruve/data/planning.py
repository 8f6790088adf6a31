"""What a preparation is to write: which files are new, which are copies, and how they are put together to shards."""

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
from vitruve.data.shards import ShardJob, Target, actor_of
from vitruve.data.sources import SourceFile, find_sources
from vitruve.errors import UsageError
from vitruve.jobs.shards import Shard, in_shard

PLAN_FILE = "plan.json"
# Bytes of sources in one shard. Text files are retargeted, which takes long, so that they make smaller ones: what is
# lost when a run is killed, and what several processes share, are shards.
_BODY_BYTES, _TREE_BYTES = 400_000_000, 6_000_000


@dataclass(frozen=True)
class Skipped:
    """A file that is not prepared, since the store has its motion already or gets it from another file, `taken`."""

    path: Path
    why: str
    taken: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        shards: to write, in order.
        done: how many of the files are in the store already.
        skipped: copies.
        passed: files that hold no motion, or a result of a conversion of another of the files.
        failed: files that cannot be read.
        actors: persons without a shape yet, and their files.
        betas: shapes that are known: of persons in the store, or of the plan that was interrupted.
        target: what motions on foreign skeletons become.
        finished: shards of an interrupted plan that stand by now, as the file of the plan has them.
    """

    shards: tuple[ShardJob, ...]
    done: int
    skipped: tuple[Skipped, ...]
    passed: tuple[Path, ...]
    failed: tuple[dict[str, Any], ...] = ()
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
        """What the next run needs to go on after this one: shards by their files, shapes by their actors."""
        shards = [
            {"set": job.set, "number": job.number, "files": [[source.key, source.content] for source in job.files]}
            for job in self.shards
        ]
        shards += self.finished
        return {"shards": shards, "betas": {actor: list(shape) for actor, shape in sorted(betas.items())}}


@dataclass
class _Store:
    """What stands in the store: content and source by key, key by content, the shapes of actors, the last numbers."""

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
    overwrite: bool,
    without: Collection[Path] = (),
    in_parts: bool = False,
) -> Plan:
    """Look at all files but those `without`, and decide; nothing is written. Other arguments as of `prepare`.

    Args:
        in_parts: other parts of the work may have begun. All have the plan of the first, which lies in the store: what
            it has written is done, with the files that it could not read.
    """
    sources, passed = find_sources(given, set_name)
    sources = [source for source in sources if source.path not in without]
    begun = {source.set for source in sources} if overwrite else set()
    if overwrite:
        _refuse_to_lose(store, begun, {source.key for source in sources})
    known = _look(store, leave_out=begun)
    new, skipped, done = _new(sources, known)
    earlier = _earlier(store)
    finished = [job for job in earlier.get("shards", ()) if _stands(job, store)] if in_parts else []
    for job in finished:
        known.last[job["set"]] = max(known.last[job["set"]], job["number"])
    by_others = {key for job in finished for key, _ in job["files"]}
    new = [source for source in new if source.key not in by_others]
    kept = _kept(earlier, new, store)
    for job in kept:
        known.last[job["set"]] = max(known.last[job["set"]], job["number"])
    taken = {source.key for job in kept for source in job["files"]}
    groups = kept + _grouped([source for source in new if source.key not in taken], known)
    shards = tuple(
        ShardJob(
            store=str(store),
            set=group["set"],
            number=group["number"],
            files=tuple(group["files"]),
            licences=tuple(licence or _licence(source) for source in group["files"]),
            target=target,
        )
        for group in groups
    )
    betas = known.betas | {actor: tuple(shape) for actor, shape in earlier.get("betas", {}).items()}
    actors: dict[str, list[SourceFile]] = defaultdict(list)
    for source in new:
        if source.is_tree and actor_of(source) not in betas:
            actors[actor_of(source)].append(source)
    return Plan(shards, done, tuple(skipped), tuple(passed), (), dict(actors), betas, target, tuple(finished))


def _refuse_to_lose(store: Path, sets: Collection[str], keys: Collection[str]) -> None:
    """Sets are written anew as wholes; clips whose files are not given would be gone."""
    folders = [folder for folder in (shard_folders(store) if store.is_dir() else ()) if folder.parent.name in sets]
    lost = [line for folder in folders for line in read_lines(folder / CLIPS_FILE) if line["key"] not in keys]
    if lost:
        others = "" if len(lost) == 1 else f" and {len(lost) - 1:,} more"
        name = lost[0]["key"].split("/")[0]
        raise UsageError(
            f"writing {name} anew would lose clips of files that were not given",
            where=f"{lost[0]['key']}, from {lost[0]['source']}{others}",
            fix=f"give all files of the set; or delete {store / name} first, to leave these out",
        )


def _look(store: Path, leave_out: set[str]) -> _Store:
    known = _Store()
    for folder in shard_folders(store) if store.is_dir() else ():
        if folder.parent.name in leave_out:
            continue
        known.last[folder.parent.name] = max(known.last[folder.parent.name], int(folder.name))
        lines = read_lines(folder / CLIPS_FILE)
        check_shard(folder, lines)  # its clips would count as done, and each run that reads them would fail
        for line in lines:
            known.by_key[line["key"]] = (line["content"], line["source"])
            known.by_content.setdefault(line["content"], line["key"])
            if line.get("actor"):
                known.betas[line["actor"]] = tuple(line["betas"])
    return known


def _new(sources: Sequence[SourceFile], known: _Store) -> tuple[list[SourceFile], list[Skipped], int]:
    """The files to read; each motion once, whatever it is called and however often it was named."""
    new: list[SourceFile] = []
    skipped: list[Skipped] = []
    done = 0
    by_key: dict[str, SourceFile] = {}
    by_content: dict[str, SourceFile] = {}
    for source in sources:
        in_store = known.by_key.get(source.key)
        if in_store and in_store[0] == source.content:
            done += 1
        elif in_store:
            skipped.append(Skipped(source.path, f"the store has another make of this clip, from {in_store[1]}"))
        elif source.content and source.content in known.by_content:
            skipped.append(Skipped(source.path, f"the same motion as {known.by_content[source.content]} of the store"))
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
    """The plan of a run that did not end; nothing where all ended well, or where it cannot be read."""
    try:
        plan = json.loads((store / PLAN_FILE).read_text(encoding="utf-8"))
        shards = [
            {
                "set": str(shard["set"]),
                "number": int(shard["number"]),
                "files": [(str(k), c) for k, c in shard["files"]],
            }
            for shard in plan["shards"]
        ]
        return {"shards": shards, "betas": {actor: tuple(map(float, b)) for actor, b in plan["betas"].items()}}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _kept(earlier: dict[str, Any], new: Sequence[SourceFile], store: Path) -> list[dict[str, Any]]:
    """The shards of an interrupted plan that are still to be written, if their files are the same."""
    by_key = {source.key: source for source in new}
    out = []
    for shard in earlier.get("shards", ()):
        files = [by_key.get(key) for key, _ in shard["files"]]
        same = all(file and file.content == content for file, (_, content) in zip(files, shard["files"]))
        if same and not _stands(shard, store):
            out.append({**shard, "files": files})
    return out


def _stands(shard: dict[str, Any], store: Path) -> bool:
    return (store / shard["set"] / f"{shard['number']:04d}").exists()


def is_finished(store: Path) -> bool:
    """Whether all shards of the plan in a store stand."""
    return all(_stands(shard, store) for shard in _earlier(store).get("shards", ()))


def _grouped(sources: Sequence[SourceFile], known: _Store) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    room = 0
    for source in sorted(sources, key=lambda source: (source.set, source.is_tree, source.key)):
        limit = _TREE_BYTES if source.is_tree else _BODY_BYTES
        last = groups[-1] if groups else None
        if not last or last["set"] != source.set or last["files"][0].is_tree != source.is_tree or room < source.size:
            known.last[source.set] += 1
            groups.append({"set": source.set, "number": known.last[source.set], "files": []})
            room = limit
        groups[-1]["files"].append(source)
        room -= source.size
    return groups


def _licence(source: SourceFile) -> str:
    """Of a set of AMASS by its folder; what else is called so (CMU's own files, say) by the names of its files."""
    known = licence_by_name(source.path.name) if source.is_tree else set_licence(source.set)
    return known or ""
