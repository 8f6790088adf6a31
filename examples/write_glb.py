"""Write a motion as GLB, for Blender, game engines and three.js."""

import vitruve
from vitruve.formats.exporters.export_motion import export_motion
from vitruve.motion import bundled_clip_path

motion = vitruve.load_motion(bundled_clip_path())[:60]
body = vitruve.load_body("open-smplh-neutral")
done = export_motion(motion, "walk.glb", body=body)
print(f"{done.frames} frames at {done.fps:g} fps, {done.up} up;", *done.notes)
