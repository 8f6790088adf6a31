"""Make the clip that ships with the package: python scripts/make_clip [--out FILE].

Everything is computed: gait curves, planted feet, minimum-jerk gestures. The same code gives the same clip. The file
has AMASS's layout (poses, trans, betas, dmpls, gender, mocap_framerate) and names its body.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from acting import make_motion

from vitruve.bodies import load_body
from vitruve.formats.fields import BODY_KEY
from vitruve.geometry.rotations import continuous_axis_angle, matrix_to_axis_angle
from vitruve.motion import Motion
from vitruve.motion.clips import bundled_clip_path


def amass_fields(motion: Motion) -> dict[str, np.ndarray]:
    """The arrays of an AMASS SMPL+H file, and the body that it is on."""
    return {
        "poses": continuous_axis_angle(matrix_to_axis_angle(motion.rotations)).flatten(1).float().numpy(),
        "trans": motion.translation.float().numpy(),
        "betas": motion.betas.double().numpy(),
        "dmpls": np.zeros((len(motion), 8), np.float32),
        "gender": np.array(motion.gender),
        "mocap_framerate": np.array(motion.fps),
        BODY_KEY: np.array(motion.body_name),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bundled clip.")
    parser.add_argument("--out", type=Path, default=bundled_clip_path())
    out = parser.parse_args().out
    np.savez_compressed(out, **amass_fields(make_motion(load_body("open-smplh-neutral"))))
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
