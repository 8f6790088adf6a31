"""`vitruve prior evaluate`: every score of a prior by name, beside baselines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import Count, DryRun, OutIfAny, Overwrite, PriorPath, Quiet, StorePath
from vitruve.cli.output import print_place, print_table
from vitruve.words import counted


def evaluate(  # noqa: PLR0913 (one parameter per option)
    prior: PriorPath,
    *,
    store: StorePath,
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
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Measure a prior on held-out poses: reconstruction, divergence, and how realistic its own poses are.

    The baselines are the same network before training, a mixture of normal distributions, and principal components. All
    poses of the part count, and two runs give the same numbers.

    Examples: `vitruve prior evaluate run --store motions --split split.json`, `vitruve prior evaluate V02_05 --store
    motions --every 10 --out scores`.

    Args:
        split: a file of `vitruve data split`; by default the clips that training without a split holds out.
        part: the part of the split to measure on; by default test.
        trained_on: another store that the baselines learn from; then all of --store, or of its part, is measured.
        every: only each n-th frame of each clip.
        body: whose skin and joints are compared.
        vertices: how many random vertices; 0 for all.
        samples: poses drawn from the prior and from each baseline.
        seed: of everything random.
        out: the folder to write; by default beside the prior, as NAME-evaluation.
        json: print the content of results.json instead of a table.
    """
    from vitruve.bodies import load_body
    from vitruve.data import open_store
    from vitruve.priors import load_prior
    from vitruve.priors.evaluation import evaluate_prior, poses_of_store
    from vitruve.report.prior_evaluation_page import evaluation_page, score_table, shown_poses
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
        print_table(*score_table(results), numbers=True)
        print(
            f"{results['poses']:,} poses of {counted(results['clips'], 'clip')} of {results['measured_on']}, "
            f"seed {results['seed']}."
        )
        print_place(place)
