"""Options that several verbs have, so that they mean and refuse the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

Out = Annotated[Path, Parameter(name=("--out", "-o"))]
OutIfAny = Annotated[Path | None, Parameter(name=("--out", "-o"))]
AsJson = Annotated[bool, Parameter(name="--json")]
# A misspelled folder would be passed over, and the open body taken.
BodiesFolder = Annotated[Path | None, Parameter(validator=validators.Path(exists=True, file_okay=False))]
Rate = Annotated[float | None, Parameter(validator=validators.Number(gt=0))]
# For motions whose files do not say it; a file that says another keeps its own, and that is said.
Gender = Annotated[Literal["neutral", "female", "male"] | None, Parameter(name="--gender")]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
