"""Convert a motion to another body and say how well it went."""

import vitruve
from vitruve.motion import bundled_clip_path

motion = vitruve.load_motion(bundled_clip_path())[:60]
conversion = vitruve.convert_motion(motion, to="open-smplx", source="open-smplh")
print(f"{conversion.error.mean:.2f} mm on average, {conversion.error.max:.2f} mm at most", conversion.warnings)
conversion.motion.save("walk_smplx.npz")
