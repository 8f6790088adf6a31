"""Run folders (results with their provenance), the lock on a folder, and the progress bar."""

from vitruve.runs.progress import Progress, progress_bar
from vitruve.runs.run_folder import RunFolder, run_folder

__all__ = ["Progress", "RunFolder", "progress_bar", "run_folder"]
