"""Joint and keypoint sets as data: one TOML file each in `data/`, a user's own file works the same."""

from vitruve.skeletons.skeleton import Skeleton, load_skeleton, skeleton_names

__all__ = ["Skeleton", "load_skeleton", "skeleton_names"]
