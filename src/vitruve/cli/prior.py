"""`vitruve prior`: pose priors trained, shown and used."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from vitruve.cli.options import DryRun, Out, Overwrite, Quiet, StorePath
from vitruve.cli.output import print_notes, print_place
from vitruve.cli.prior_evaluate import evaluate
from vitruve.cli.prior_use import complete, decode, denoise, encode, sample
from vitruve.errors import UsageError

if TYPE_CHECKING:
    from vitruve.learn.plan import Progress
    from vitruve.priors.recipe import Recipe

app = App(
    name="prior",
    help="Train pose priors, load published ones, and use them.\n\n"
    "Examples: `vitruve prior sample open --out poses`, `vitruve prior train motions --out run --minutes 10`.",
)
for _command in (evaluate, sample, complete, denoise, encode, decode):
    app.command(_command)
_INTERRUPTED, _STOP_SIGNALS = 130, (signal.SIGINT, signal.SIGTERM)
Positive = Parameter(validator=Number(gt=0))


@app.command
def train(  # noqa: PLR0913 (one parameter per option)
    store: StorePath,
    *,
    out: Out,
    recipe: str = "vitruve",
    split: Path | None = None,
    minutes: Annotated[float | None, Positive] = None,
    steps: Annotated[int | None, Positive] = None,
    batch: Annotated[int | None, Parameter(validator=Number(gte=2))] = None,
    seed: int | None = None,
    body: str | None = None,
    device: str | None = None,
    resume: bool = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Train a pose prior on a clip store, into a folder with weights, curves and a page.

    A training that was stopped, for whatever reason, continues with --resume. It ends where the recipe says so, or
    after the given minutes or steps. The exit status is 130 where it was interrupted.

    Examples: `vitruve prior train motions --out run --minutes 10`, `vitruve prior train motions --out run --recipe
    vposer-v02_05 --split split.json`.

    Args:
        out: the folder of the run.
        recipe: vitruve, vposer-v02_05, a TOML file, or the YAML file of VPoser's published training.
        split: a file of `vitruve data split`; by default a twentieth of the clips is held out.
        minutes: time to train, validations included, over all resumes; 10 where neither this nor an end is given.
        steps: steps to train.
        batch: poses per step; by default that of the recipe.
        seed: of the initial weights, the order and the noise.
        body: the body of the loss, a name or file; by default the open SMPL-X body.
        device: cpu, cuda, cuda:1; by default a CUDA device if there is one.
        resume: continue the run in the folder.
    """
    from vitruve.bodies import load_body
    from vitruve.data import open_store
    from vitruve.files.atomic import write_json
    from vitruve.learn.team import find_team
    from vitruve.priors.run import begin_run, check_run, only_training, pose_data, record
    from vitruve.priors.training import BODY, train_prior
    from vitruve.report.prior_page import write_curves, write_training_page
    from vitruve.runs import progress_bar

    if resume and overwrite:
        raise UsageError("a run is resumed or replaced, not both", fix="give --resume, or --overwrite")
    chosen = _recipe(recipe, minutes=minutes, steps=steps, batch=batch, seed=seed)
    data = pose_data(open_store(store), chosen, split)
    if not resume:
        check_run(out, overwrite)
    if dry_run:
        print(f"would train {chosen.name} on {len(data.train):,} poses, {len(data.valid):,} held out, into {out}")
        print("licences of the data: " + "; ".join(licence or "not known" for licence in data.licences))
        return 0
    model = load_body(body or BODY)
    options = {"store": store, "recipe": recipe, "split": split, "minutes": minutes, "steps": steps, "batch": batch}
    options |= {"seed": seed, "body": model.name, "device": device}
    first = find_team(device).number == 0
    bar = progress_bar("training", "steps", quiet or not first)
    with only_training(out, resume) if first else nullcontext(), _stop_requested() as stop, bar as progress:
        if first and not resume:
            begin_run(out, options, overwrite)
        results = train_prior(
            data,
            out,
            chosen,
            body=model,
            resume=resume,
            device=device,
            on_validation=lambda rows: write_curves(rows, out),
            on_step=_report_steps(progress, chosen, len(data.train)),
            stop=stop,
        )
    if first:
        write_json(out / "results.json", results)
        write_training_page(out, results)
        record(out, options, {"state": results["finished"]})
        _print_results(results, out, quiet)
    return _INTERRUPTED if results["finished"].startswith("interrupted") else 0


@app.command
def show(path: Path) -> None:
    """Describe a prior: network, recipe, data and their licences, and what is odd about its file.

    Examples: `vitruve prior show run`, `vitruve prior show V02_05`, `vitruve prior show TR00_E096.pt`.

    Args:
        path: a run's folder, "open" for the bundled prior, a checkpoint of Vitruve, or a published VPoser (folder,
            .ckpt or .pt).
    """
    from vitruve.priors import load_prior
    from vitruve.priors.released import describe, energy_rows

    prior = load_prior(path)
    for name, value in {"name": prior.name, **describe(prior), **dict(energy_rows(prior))}.items():
        print(f"{name:<22}{value:,}" if isinstance(value, int) else f"{name:<22}{value}")
    print_notes(prior.notes)


def _recipe(name: str, **changes: Any) -> Recipe:
    from vitruve.priors import load_recipe

    recipe = load_recipe(name)
    plan = recipe.training
    if not any((changes["minutes"], changes["steps"], plan.minutes, plan.steps, plan.epochs)):
        changes["minutes"] = 10.0
    return recipe.changed(**changes)


def _report_steps(progress: Callable[[int, int], None], recipe: Recipe, count: int) -> Callable[[Progress], None]:
    """Tells how many steps this run has done, and will do at the rate so far; a resumed one begins at zero."""
    before: int | None = None

    def report(now: Progress) -> None:
        nonlocal before
        before = now.step - 1 if before is None else before
        fraction = now.moment(recipe.training, count).fraction
        total = max(now.step, round(now.step / fraction)) if fraction else 0
        progress(now.step - before, max(total - before, 0))

    return report


@contextmanager
def _stop_requested() -> Iterator[Any]:
    """Yields whether a signal to stop was received: the step is then finished and the state saved."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(got)) for number in _STOP_SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_results(results: dict[str, Any], out: Path, quiet: bool) -> None:
    for warning in results["warnings"]:
        print(f"vitruve: {warning}", file=sys.stderr)
    if quiet:
        return
    from vitruve.report.prior_page import component_rows, run_rows

    for name, value in [*run_rows(results), *component_rows(results)]:
        print(f"  {name:<48}{value}")
    if results["commercial_use"] != "yes":
        print(f"Commercial use: {results['commercial_use']} ({'; '.join(results['licences']) or 'licence not known'})")
    print_place(out)
