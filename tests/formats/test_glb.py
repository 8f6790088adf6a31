"""GLB: what a reader of its own makes of the file is what we have; the structure is sound; the validator agrees."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import browser_page
from tests.formats.gltf_reader import Glb, check_structure
from tests.formats.node_packages import node, node_modules
from tests.material import small_body, small_motion
from vitruve.bodies import load_body
from vitruve.errors import BadData, UsageError
from vitruve.formats.exporters.export_motion import export_motion
from vitruve.formats.exporters.glb import write_glb
from vitruve.formats.exporters.gltf_difference import skinning_difference
from vitruve.formats.exporters.gltf_file import GltfFile
from vitruve.formats.exporters.gltf_skin import continuous_quaternions, largest_weights, smooth_normals
from vitruve.geometry.camera import Camera
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton


def y_up(points: torch.Tensor) -> np.ndarray:
    """Of the z-up world: x stays, up is y."""
    x, y, z = points.detach().double().numpy().transpose(-1, *range(points.dim() - 1))
    return np.stack([x, z, -y], -1)


def tree_motion(frames: int = 5, moving: bool = False) -> Motion:
    skeleton = Skeleton(
        name="snake",
        names=("a", "b", "c", "end"),
        parents=(-1, 0, 1, 1),
        rest=torch.tensor([[0, 0.5, 0], [0, 1, 0], [0.2, 1.3, 0], [-0.2, 1.3, 0.1]], dtype=torch.float64),
    )
    rotations = axis_angle_to_matrix(torch.linspace(-1, 2, frames * 12, dtype=torch.float64).reshape(frames, 4, 3))
    offsets = None
    if moving:
        assert skeleton.rest is not None
        bones = skeleton.rest - torch.cat([torch.zeros(1, 3), skeleton.rest[[0, 1, 1]]])
        offsets = bones * torch.linspace(1, 1.2, frames, dtype=torch.float64)[:, None, None]
        offsets[:, 0] = bones[0]
    return Motion(rotations, torch.rand(frames, 3, dtype=torch.float64), 24.0, skeleton, offsets=offsets)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["smpl", "smplh", "smplx"]), st.integers(1, 6), st.integers(0, 99), st.floats(10, 240))
def test_joints_and_vertices_of_the_file_are_those_of_the_body(tmp_path_factory, layout, frames, seed, fps):
    body = small_body(layout, correctives=False, seed=seed)
    motion = small_motion(layout, frames, fps, seed).replace(expression=None)
    path = tmp_path_factory.mktemp("glb") / "a.glb"
    write_glb(motion, path, body=body)
    glb = Glb(path)
    check_structure(glb)
    joints, vertices = y_up(motion.joints(body)), y_up(motion.vertices(body))
    for frame in {0, frames // 2, frames - 1}:
        found = glb.joints(frame / fps)
        assert tuple(found) == body.skeleton.names
        assert np.abs(np.array(list(found.values())) - joints[frame]).max() < 1e-5
        assert np.abs(glb.vertices(frame / fps) - vertices[frame]).max() < 1e-5


def test_at_rest_the_file_is_the_shaped_template(tmp_path):
    body, motion = small_body(), small_motion("smplx")
    write_glb(motion, tmp_path / "a.glb", body=body)
    rest = body.shaped(motion.betas).rest_vertices.numpy()
    assert np.abs(Glb(tmp_path / "a.glb").vertices() - rest).max() < 1e-6


def test_expressions_are_morph_targets_that_are_animated(tmp_path):
    body, motion = small_body(correctives=False), small_motion("smplx")
    write_glb(motion, tmp_path / "a.glb", body=body, shapes=2, expressions=10)
    glb = Glb(tmp_path / "a.glb")
    check_structure(glb)
    assert glb.mesh["extras"]["targetNames"][1:3] == ["shape_001", "expression_000"]
    difference = skinning_difference(motion, body, expressions=10)
    true = y_up(motion.vertices(body))[7]
    apart = np.linalg.norm(glb.vertices(7 / 30) - true, axis=-1).max()
    # What is left is that the joints follow the expression.
    assert apart <= 1e-3 * difference.max_mm + 1e-5
    blank = y_up(motion.replace(expression=None).vertices(body))[7]
    assert apart < np.linalg.norm(blank - true, axis=-1).max()


def test_the_difference_reported_is_the_one_of_the_file(tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh", frames=6)
    write_glb(motion, tmp_path / "a.glb", body=body)
    glb, true = Glb(tmp_path / "a.glb"), y_up(motion.vertices(body))
    apart = np.linalg.norm([glb.vertices(frame / 30) - true[frame] for frame in range(6)], axis=-1)
    difference = skinning_difference(motion, body)
    assert difference.frames == 6 and difference.max_mm > 1
    assert difference.mean_mm == pytest.approx(1e3 * apart.mean(), abs=1e-2)
    assert difference.max_mm == pytest.approx(1e3 * apart.max(), abs=1e-2)


def test_weights_beyond_four_joints_are_measured():
    body, motion = small_body("smplh", correctives=False), small_motion("smplh", frames=3)
    assert skinning_difference(motion, body).max_mm < 1e-3
    body = small_body("smplh", correctives=False)
    body.skin_weights = (body.skin_weights + 0.01) / (1 + 0.01 * body.num_joints)
    difference = skinning_difference(motion, body)
    assert difference.weights_mm == pytest.approx(difference.max_mm, rel=1e-6) and difference.weights_mm > 1
    assert skinning_difference(motion, body, influences=None).max_mm < 1e-3


@pytest.mark.parametrize("moving", [False, True])
def test_a_tree_without_a_body_gets_a_mesh_of_its_bones(tmp_path, moving):
    motion = tree_motion(moving=moving)
    write_glb(motion, tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    check_structure(glb)
    joints = y_up(motion.joints())
    for frame in range(5):
        found = np.array(list(glb.joints(frame / 24).values()))
        assert np.abs(found - joints[frame]).max() < 1e-6
    assert len(glb.attributes["POSITION"]) == 3 * 6
    corners = glb.attributes["POSITION"][glb.accessor(glb.mesh["primitives"][0]["indices"]).reshape(-1, 3)]
    volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume > 0  # the faces look outwards


def test_a_joint_that_wanders_gets_no_bone(tmp_path):
    motion = tree_motion(moving=True)
    assert motion.offsets is not None
    motion.offsets[:, 1, 0] += torch.linspace(0, 3, 5)
    write_glb(motion, tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    assert len(glb.attributes["POSITION"]) == 2 * 6
    found = [list(glb.joints(frame / 24).values()) for frame in range(5)]
    assert np.abs(np.array(found) - y_up(motion.joints())).max() < 1e-6


def test_a_single_point_has_no_mesh(tmp_path):
    skeleton = Skeleton(name="dot", names=("a",), parents=(-1,), rest=torch.zeros(1, 3))
    write_glb(Motion(torch.eye(3).expand(2, 1, 3, 3), torch.rand(2, 3), 30.0, skeleton), tmp_path / "a.glb")
    assert "meshes" not in Glb(tmp_path / "a.glb").json


def test_facts_stand_in_the_file(tmp_path):
    body, motion = small_body(correctives=False), small_motion("smplx")
    body.licence = "for this test"
    export_motion(motion, tmp_path / "walk.glb", body=body)
    glb = Glb(tmp_path / "walk.glb")
    assert glb.json["asset"]["copyright"] == "for this test"
    facts = glb.json["asset"]["extras"]
    assert facts == glb.json["scenes"][0]["extras"]
    assert (facts["fps"], facts["frames"], facts["unit"], facts["up_axis"]) == (30.0, 12, "m", "y")
    assert facts["body"] == "small-smplx" and len(facts["betas"]) == 10
    assert [entry["name"] for entry in (*glb.json["animations"], *glb.json["scenes"])] == ["walk", "walk"]


@given(st.integers(0, 1000), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_the_largest_weights_sum_to_one_and_name_no_joint_twice(seed, joints):
    full = torch.rand(20, joints, generator=torch.Generator().manual_seed(seed)) ** 4
    chosen, weights = largest_weights(full / full.sum(1, keepdim=True))
    assert chosen.shape == weights.shape == (20, 4)
    assert np.abs(weights.sum(1, dtype=float) - 1).max() < 1e-7
    for row, values in zip(chosen, weights):
        assert len(set(row[values > 0])) == (values > 0).sum() == min(joints, 4)


def test_quaternions_run_on_through_full_turns():
    angles = torch.linspace(0, 4 * torch.pi, 100, dtype=torch.float64)
    turning = axis_angle_to_matrix(torch.stack([0 * angles, angles, 0 * angles], -1))[:, None]
    quaternions = continuous_quaternions(turning)
    assert quaternions.shape == (1, 100, 4)
    assert np.abs(np.diff(quaternions[0], axis=0)).max() < 0.1


def test_normals_of_a_tetrahedron_look_away_from_its_middle():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [5, 5, 5]], np.float32)
    normals = smooth_normals(vertices, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    assert ((vertices[:4] - vertices[:4].mean(0)) * normals[:4]).sum(1).min() > 0
    assert normals[4].tolist() == [0, 1, 0]  # in no face


def test_a_file_of_four_gigabytes_is_refused(tmp_path):
    file = GltfFile({})
    file.size = 2**32
    with pytest.raises(BadData, match="too long for one GLB"):
        file.write(tmp_path / "a.glb")


def the_kinds(folder: Path) -> list[Path]:
    """One file of each kind that `export_motion` makes."""
    smplh, smplx = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    walk, talk = (small_motion(layout, 4).to(dtype=torch.float32) for layout in ("smplh", "smplx"))
    gap = talk.replace(mask=torch.tensor([False, True, False, True]))
    export_motion(walk, folder / "smplh.glb", body=smplh)
    export_motion(talk, folder / "morphs.glb", body=smplx, morphs="shape:2,expression")
    export_motion(talk[:1], folder / "one.glb", body=smplx)
    export_motion(gap, folder / "held.glb", body=smplx)
    export_motion(gap, folder / "dropped.glb", body=smplx, gaps="drop", morphs="3")
    places = np.tile(np.eye(4), (4, 1, 1))
    camera = Camera(torch.diag(torch.tensor([500.0, 500, 1])), torch.from_numpy(places), (64, 48), fps=30)
    export_motion(tree_motion(moving=True), folder / "tree.glb", camera=camera)
    return sorted(folder.glob("*.glb"))


_VALIDATE = """
const validator = require("gltf-validator"), fs = require("fs")
Promise.all(process.argv.slice(1).map(f => validator.validateBytes(new Uint8Array(fs.readFileSync(f)))))
  .then(reports => console.log(JSON.stringify(reports.map(report => report.issues))))
"""


def test_the_validator_of_the_khronos_group_finds_nothing(tmp_path):
    modules, program = node_modules("gltf-validator"), node()
    files = the_kinds(tmp_path)
    for file in files:
        check_structure(Glb(file))
    run = subprocess.run(
        [program, "-e", _VALIDATE, *map(str, files)],
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_PATH": str(modules)},
        check=True,
    )
    reports = json.loads(run.stdout)
    assert len(reports) == len(files) == 6
    for file, issues in zip(files, reports):
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), (file.name, issues["messages"][:5])


_PAGE = """<!doctype html><style>body {margin: 0}</style>
<script type="importmap">{"imports": {"three": "/node_modules/three/build/three.module.js"}}</script>
<script type="module">
import * as THREE from "three"
import {GLTFLoader} from "/node_modules/three/examples/jsm/loaders/GLTFLoader.js"
const gltf = await new GLTFLoader().loadAsync(location.hash.slice(1))
const scene = new THREE.Scene(), mixer = new THREE.AnimationMixer(gltf.scene)
scene.add(gltf.scene, new THREE.HemisphereLight(0xffffff, 0x888888, 3), new THREE.GridHelper(6, 12))
mixer.clipAction(gltf.animations[0]).setLoop(THREE.LoopOnce).play()
const renderer = new THREE.WebGLRenderer({antialias: true})
renderer.setSize(innerWidth, innerHeight)
renderer.setClearColor(0xffffff)
document.body.append(renderer.domElement)
const camera = new THREE.PerspectiveCamera(35, innerWidth / innerHeight, 0.1, 100)
window.show = time => {
  mixer.setTime(time)
  scene.updateMatrixWorld(true)
  const bones = {}, vertices = []
  let mesh
  gltf.scene.traverse(o => {
    if (o.isBone) bones[o.name] = new THREE.Vector3().setFromMatrixPosition(o.matrixWorld).toArray()
    if (o.isSkinnedMesh) mesh = Object.assign(o, {frustumCulled: false})
  })
  for (let i = 0; i < mesh.geometry.attributes.position.count; i += 7)
    vertices.push(mesh.getVertexPosition(i, new THREE.Vector3()).applyMatrix4(mesh.matrixWorld).toArray())
  const [x, y, z] = bones.pelvis
  camera.position.set(x + 1.5, y + 0.5, z + 3)
  camera.lookAt(x, y - 0.1, z)
  renderer.render(scene, camera)
  return {bones, vertices, duration: gltf.animations[0].duration}
}
</script>"""


def test_three_js_plays_the_file_as_we_do(tmp_path):
    """Joints to 1 mm and vertices to 2 mm; with pose correctives the vertices differ as much as was reported."""
    modules, errors = node_modules("three"), []
    motion = small_motion("smplx", 12)
    whole, plain = (load_body("open-smplx-neutral", dtype=torch.float64) for _ in range(2))
    plain.pose_basis = None

    def serve(route):
        name = urlsplit(route.request.url).path[1:]
        if not name:
            route.fulfill(body=_PAGE, content_type="text/html")
        else:
            route.fulfill(path=modules.parent / name if name.startswith("node_modules/") else tmp_path / name)

    with browser_page(width=500, height=500, errors=errors) as page:
        page.route("http://three.test/**", serve)
        for name, body in (("plain", plain), ("whole", whole)):
            done = export_motion(motion, tmp_path / f"{name}.glb", body=body, morphs="expression")
            joints, vertices = y_up(motion.joints(body)), y_up(motion.vertices(body))[:, ::7]
            page.goto(f"http://three.test/?{name}#/{name}.glb")
            page.wait_for_function("window.show")
            worst = 0.0
            for frame in (0, 5, 11):
                seen = page.evaluate("time => window.show(time)", frame / 30)
                found = np.array([seen["bones"][joint] for joint in body.skeleton.names])
                assert np.linalg.norm(found - joints[frame], axis=-1).max() < 1e-3
                worst = max(worst, float(np.linalg.norm(np.array(seen["vertices"]) - vertices[frame], axis=-1).max()))
            assert seen["duration"] == pytest.approx(11 / 30, abs=1e-6)
            page.screenshot(path=tmp_path / f"{name}.png")
            assert done.difference is not None
            assert worst < (2e-3 if body is plain else 1e-3 * done.difference.max_mm + 1e-4)
    assert not errors


@pytest.mark.parametrize("frames", [1, 4])
def test_a_camera_in_the_file_sees_what_the_real_one_saw(tmp_path, frames):
    """A point that OpenCV's formula puts on a pixel is there for glTF's camera too."""
    body, motion = small_body("smplh"), small_motion("smplh", 4)
    turns = axis_angle_to_matrix(torch.tensor([[2.0, 0.1, -0.2]]) + 0.1 * torch.arange(frames)[:, None])
    places = np.tile(np.eye(4), (frames, 1, 1))
    places[:, :3, :3], places[:, :3, 3] = turns.double().numpy(), [0.2, 0.3, 4]
    intrinsics = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    placed = torch.from_numpy(places if frames > 1 else places[0])
    camera = Camera(torch.from_numpy(intrinsics), placed, (640, 480), fps=motion.fps)
    done = export_motion(motion, tmp_path / "a.glb", body=body, camera=camera)
    assert not any("camera" in note for note in done.notes)
    glb = Glb(tmp_path / "a.glb")
    check_structure(glb)
    node = next(i for i, entry in enumerate(glb.json["nodes"]) if "camera" in entry)
    lens = glb.json["cameras"][0]["perspective"]
    points = torch.randn(20, 3, dtype=torch.float64)
    for frame in range(frames):
        seen = points.numpy() @ places[frame, :3, :3].T + places[frame, :3, 3]
        pixels = (seen @ intrinsics.T)[:, :2] / seen[:, 2:]
        where = glb.globals(frame / 30)[node]
        x, y, z = ((y_up(points) - where[:3, 3]) @ where[:3, :3]).T
        high = np.tan(lens["yfov"] / 2)
        across, upwards = x / -z / high / lens["aspectRatio"], y / -z / high  # -1 to 1 from edge to edge
        assert np.allclose(pixels, np.stack([320 + 320 * across, 240 - 240 * upwards], -1), atol=1e-2)
    if frames > 1:
        with pytest.raises(UsageError, match="out of step"):
            export_motion(motion, tmp_path / "b.glb", body=body, camera=camera, gaps="drop")
    with pytest.raises(UsageError, match="no camera"):
        export_motion(motion, tmp_path / "a.bvh", body=body, camera=camera)
