"""Bring a BVH recording onto a body: python retarget_bvh.py take.bvh."""

import sys

import vitruve
from vitruve.retarget.retarget import retarget_motion

motion = vitruve.load_motion(sys.argv[1])[:120]
conversion = retarget_motion(motion, to="open-smplx-neutral")
print(f"joints are {conversion.error.mean:.1f} mm from the recorded ones", conversion.warnings)
conversion.motion.save("take_smplx.npz")
