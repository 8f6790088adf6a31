"""Blender, without a display, imports the GLB and the BVH and finds the joints where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.material import small_motion
from vitruve.bodies import load_body
from vitruve.formats.exporters.export_motion import export_motion

# Old Blenders with a newer Python and numpy than they were made for lack the two names that are put back here.
_SCRIPT = """
import builtins, json, sys
import numpy
numpy.bool = bool
plain_open = builtins.open
builtins.open = lambda file, mode="r", *rest, **words: plain_open(file, mode.replace("U", ""), *rest, **words)
import bpy
path, out, count = sys.argv[sys.argv.index("--") + 1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = 30
if path.endswith(".glb"):
    bpy.ops.import_scene.gltf(filepath=path)
    first = 0
else:
    bpy.ops.import_anim.bvh(filepath=path, global_scale=0.01)
    first = 1
armature = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
found = []
for frame in range(int(count)):
    scene.frame_set(first + frame)
    bpy.context.view_layer.update()
    found.append({bone.name: list(armature.matrix_world @ bone.head) for bone in armature.pose.bones})
with open(out, "w") as file:
    json.dump(found, file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["glb", "bvh"])
def test_joints_in_blender(tmp_path: Path, ending: str) -> None:
    program = shutil.which("blender")
    if not program:
        pytest.skip("Blender is not installed: apt install blender python3-numpy")
    body, motion = load_body("open-smplh-neutral"), small_motion("smplh", 5)
    export_motion(motion, tmp_path / f"walk.{ending}", body=body)
    (tmp_path / "look.py").write_text(_SCRIPT)
    options = ["--background", "--factory-startup", "-noaudio", "--python-exit-code", "1"]
    words = [str(tmp_path / f"walk.{ending}"), str(tmp_path / "joints.json"), "5"]
    run = subprocess.run(
        [program, *options, "--python", str(tmp_path / "look.py"), "--", *words],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    found = json.loads((tmp_path / "joints.json").read_text())
    joints = motion.joints(body).numpy()
    for frame, bones in enumerate(found):
        there = np.array([bones[name] for name in body.skeleton.names])
        assert np.abs(there - joints[frame]).max() < 1e-4  # Blender's world is z up, as ours
