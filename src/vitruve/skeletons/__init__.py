"""Joint and keypoint sets as data: one TOML file each in `data/`; users' own files work the same way."""

from vitruve.skeletons.skeleton import Skeleton, load_skeleton, skeleton_names

__all__ = ["Skeleton", "load_skeleton", "skeleton_names"]
