"""What a run leaves behind: a folder with its results and how they came about; and the progress bar."""

from vitruve.runs.progress import Progress, progress_bar
from vitruve.runs.run_folder import RunFolder, run_folder

__all__ = ["Progress", "RunFolder", "progress_bar", "run_folder"]
