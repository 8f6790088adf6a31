"""Options that several verbs share, each with one type, one validation and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from cyclopts.validators import Path as ValidPath

Out = Annotated[Path, Parameter(name=("--out", "-o"))]
OutIfAny = Annotated[Path | None, Parameter(name=("--out", "-o"))]
Json = Annotated[bool, Parameter(name="--json", help="print the figures as JSON.")]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Workers = Annotated[int, Parameter(validator=Number(gte=1), help="processes on this machine.")]
PositiveFloat = Annotated[float | None, Parameter(validator=Number(gt=0))]
# Without the check, a misspelled folder would be ignored and the open body used.
BodiesFolder = Annotated[
    Path | None,
    Parameter(
        validator=ValidPath(exists=True, file_okay=False),
        help="folder of licensed bodies, searched before the usual places.",
    ),
]
SourceFps = Annotated[
    float | None,
    Parameter(validator=Number(gt=0), help="frames per second, for meshes and for files that do not state it."),
]
# A file that states another gender keeps its own, and a note says so.
Gender = Annotated[
    Literal["neutral", "female", "male"] | None,
    Parameter(name="--gender", help="neutral, female or male, for files that do not state it."),
]
UpAxis = Annotated[Literal["z", "y"], Parameter(help="the axis that points up in folders of meshes.")]
Device = Annotated[str, Parameter(help="where to compute: cpu, cuda, cuda:1.")]
Shard = Annotated[str | None, Parameter(help="do only this part of the work, such as 2/8; parts can run in parallel.")]
Cluster = Annotated[str | None, Parameter(help="address of a Dask scheduler that does the work instead.")]
StorePath = Annotated[Path, Parameter(help="the clip store, from `vitruve data prepare`.")]
PriorPath = Annotated[
    Path,
    Parameter(help='a run\'s folder, "open" for the bundled prior, or any file that `vitruve prior show` reads.'),
]
DryRun = Annotated[bool, Parameter(help="say what would be done, and write nothing.")]
Overwrite = Annotated[bool, Parameter(help="replace existing output.")]
Quiet = Annotated[bool, Parameter(help="show no progress, notes or summary.")]
