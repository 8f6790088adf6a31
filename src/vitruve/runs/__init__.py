"""Run folders (results with their provenance), the lock on a folder, and the progress bar."""

from vitruve.runs.folder import RunFolder, run_folder
from vitruve.runs.progress import Progress, progress_bar

__all__ = ["Progress", "RunFolder", "progress_bar", "run_folder"]
