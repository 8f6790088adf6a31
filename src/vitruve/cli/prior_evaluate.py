"""`vitruve prior evaluate`: every score of a prior by name, beside baselines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import Count, OutIfAny
from vitruve.cli.plain_table import print_table


def evaluate(  # noqa: PLR0913 (one parameter per option)
    prior: Path,
    *,
    store: Path,
    split: Path | None = None,
    part: str | None = None,
    trained_on: Path | None = None,
    every: Count = 1,
    body: str = "open-smplx-neutral",
    vertices: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    samples: Annotated[int, Parameter(validator=Number(gte=10))] = 5000,
    seed: int = 0,
    out: OutIfAny = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Measure a prior on poses it has not seen: reconstruction, divergence, and how like real ones its own poses are.

    Each number stands beside that of the same network before any training, of a mixture of normal distributions, and of
    principal components. All poses of the part count, and two runs give the same numbers.

    Examples: `vitruve prior evaluate run --store motions --split split.json`, `vitruve prior evaluate V02_05 --store
    motions --every 10 --out scores`.

    Args:
        prior: a run's folder, "open" for the one that ships, or any file that `vitruve prior show` knows.
        store: the clip store to measure on, from `vitruve data prepare`.
        split: a file of `vitruve data split`; the clips that training holds out without a split where left out.
        part: the part of the split to measure on; test where left out.
        trained_on: another store that the baselines learn from; all of --store, or of its part, is then measured on.
        every: only each n-th frame of each clip.
        body: whose skin and joints are compared.
        vertices: how many vertices, drawn from all of them; all where 0.
        samples: poses drawn from the prior and from each baseline.
        seed: of all that is drawn at random.
        out: the folder to write; beside the prior, with "-evaluation" behind its name, where left out.
        json: print the content of results.json instead of a table.
        dry_run: say what would be measured, and write nothing.
        overwrite: replace the folder of an earlier evaluation.
        quiet: show no progress and no table.
    """
    from vitruve.bodies import load_body
    from vitruve.data import open_store
    from vitruve.priors import load_prior
    from vitruve.priors.evaluation import evaluate_prior, poses_of_store
    from vitruve.report.prior_evaluation_page import evaluation_page, shown_poses
    from vitruve.runs import progress_bar, run_folder
    from vitruve.runs.folder import check_out

    named = prior.resolve()
    place = out or named.with_name(f"{named.name if named.is_dir() else named.stem}-evaluation")
    check_out(place, "prior evaluate", overwrite)
    loaded, source = load_prior(prior), open_store(store)
    poses, learned = poses_of_store(source, split, part, every, trained_on and open_store(trained_on))
    if dry_run:
        print(f"would measure {loaded.name} on {len(poses.rows):,} poses of {poses.source}, into {place}")
        print(f"baselines would learn from {len(learned):,} poses")
        return
    model = load_body(body)
    options: dict[str, Any] = {"prior": prior, "store": store, "split": split, "part": part, "trained_on": trained_on}
    options |= {"every": every, "body": model.name, "vertices": vertices, "samples": samples, "seed": seed}
    inputs = [path for path in (prior, split) if path is not None and path.is_file()]
    with run_folder(place, "prior evaluate", options, inputs, overwrite) as run:
        with progress_bar("measuring", "poses", quiet or json) as progress:
            results = evaluate_prior(
                loaded, poses, learned, model, vertices=vertices, samples=samples, seed=seed, progress=progress
            )
        run.results(results)
        run.report(evaluation_page(results, shown_poses(loaded, poses, results), model))
        if json:
            print(run.file("results.json").read_text(encoding="utf-8"), end="")
    for warning in results["warnings"]:
        print(f"vitruve: {warning}", file=sys.stderr)
    if not (quiet or json):
        _say(results, place)


def _say(results: Mapping[str, Any], place: Path) -> None:
    from vitruve.report.prior_evaluation_page import score_table
    from vitruve.words import counted

    print_table(*score_table(results), numbers=True)
    about = f"{results['poses']:,} poses of {counted(results['clips'], 'clip')} of {results['measured_on']}"
    print(f"{about}, seed {results['seed']}.")
    print(f"Written to {place}; open {place / 'report.html'} in a browser for what each name means.")
