"""Draw the pictures of the docs: docs/pictures/*.png and docs/gallery.md. Run by `make gallery`.

python docs/gallery.py                # all pictures
python docs/gallery.py hands faces    # some

The open body is drawn by Vitruve's own renderer; screenshots of pages need Chromium and playwright.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from screenshots import compared, rendered, report, viewer
from torch import Tensor

import vitruve
from vitruve import BodyModel, Motion
from vitruve.bodies.open_body import open_words
from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.pictures import picture, row, save_picture, stack, strip
from vitruve.draw.shading import CLAY
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion.clips import bundled_clip_path

FOLDER = Path(__file__).parent / "pictures"
FRONT, SIDE, ABOVE = direction(0), direction(90), direction(10, 65)
WHITE, PUPIL = (0.93, 0.93, 0.91), (0.22, 0.17, 0.14)
PALETTE = 256

# Poses: joint -> axis-angle in degrees. x bends forwards and back, z lifts the arms sideways.
Degrees = Mapping[str, tuple[float, float, float]]
T_POSE: Degrees = {}
A_POSE: Degrees = {"left_shoulder": (0, 0, -48), "right_shoulder": (0, 0, 48)}
ARMS_DOWN: Degrees = {"left_shoulder": (0, 0, -68), "right_shoulder": (0, 0, 68)}
SIT: Degrees = {
    **{f"{side}_hip": (-88, 0, 0) for side in ("left", "right")},
    **{f"{side}_knee": (88, 0, 0) for side in ("left", "right")},
    "left_shoulder": (0, 0, -68),
    "right_shoulder": (0, 0, 68),
    "left_elbow": (0, -55, 0),
    "right_elbow": (0, 55, 0),
}


THUMB = ((38.0, 22.0, 0.0), (20.0, 30.0, 0.0), (10.0, 45.0, 0.0))  # of a left fist


def curl(model: BodyModel, side: str, share: float) -> Degrees:
    """Fingers bent towards the palm about axes across each finger: 0 is flat, 1 a fist."""
    joints = model.shaped().rest_joints
    bends: dict[str, tuple[float, float, float]] = {}
    for finger in ("index", "middle", "ring", "pinky"):
        first, last = (joints[model.skeleton.index(f"{side}_{finger}{i}")] for i in (1, 3))
        across = torch.linalg.cross(last - first, first.new_tensor([0.0, -1.0, 0.0]))
        across = across / across.norm()
        for i, angle in zip((1, 2, 3), (80, 100, 62), strict=True):
            x, y, z = (share * angle * across).tolist()
            bends[f"{side}_{finger}{i}"] = (x, y, z)
    sign = 1 if side == "left" else -1  # a mirror in the body's middle plane turns y and z round
    for i, (x, y, z) in zip((1, 2, 3), THUMB, strict=True):
        bends[f"{side}_thumb{i}"] = (share * x, share * sign * y, share * sign * z)
    return bends


@cache
def body(name: str) -> BodyModel:
    """A body by name, loaded once."""
    return vitruve.load_body(name)


def posed(
    model: BodyModel, degrees: Degrees = T_POSE, betas: Tensor | None = None, expression: Tensor | None = None
) -> Tensor:
    """Vertices [vertices, 3] of a body stood up in the z-up world, feet on the ground, facing -y."""
    rotations = model.rest_rotations()
    for joint, angles in {"pelvis": (90.0, 0.0, 0.0), **degrees}.items():
        rotations[model.skeleton.index(joint)] = axis_angle_to_matrix(torch.deg2rad(torch.tensor(angles)).to(rotations))
    vertices = model.shaped(betas, expression).vertices(rotations)
    return vertices - torch.stack([vertices.new_zeros(()), vertices.new_zeros(()), vertices[:, 2].min()])


Mesh = tuple[Tensor, Tensor]  # vertices, faces


def views(
    meshes: Sequence[Mesh],
    towards: Sequence[tuple[float, float, float]] = (FRONT, SIDE),
    size: tuple[int, int] = (420, 420),
    labels: Sequence[str] = (),
    closer: Tensor | None = None,
    colours: Tensor | None = None,
) -> Image.Image:
    """One row of meshes per direction, all at one scale; one mesh alone is shown from all directions in one row.

    Args:
        meshes: what is drawn.
        towards: directions from the body to the eye.
        size: of each picture in pixels.
        labels: one per mesh.
        closer: indices of the vertices that are to fill the picture; all where not given.
        colours: [vertices, 3], the same for all.
    """
    rows = []
    seen = torch.cat([vertices if closer is None else vertices[closer] for vertices, _ in meshes])
    ground = 0.0 if closer is None else None
    for way in towards:
        camera = fit_camera(seen, way, size)
        pictures = [picture(v, f, camera, size, colours, ground) for v, f in meshes]
        rows.append(row(pictures, labels if way is towards[-1] else ()))
    return stack(rows) if len(meshes) > 1 else row(rows)


def part(model: BodyModel, joint: str) -> Tensor:
    """Indices of the vertices that mostly move with a joint and those that hang on it."""
    columns = list(model.skeleton.below(model.skeleton.index(joint)))
    return (model.skin_weights[:, columns].sum(1) > 0.5).nonzero()[:, 0]


def body_in(degrees: Degrees) -> Image.Image:
    """The neutral body from the front and the side."""
    model = body("open-smplx-neutral")
    return views([(posed(model, degrees), model.faces)])


def walk() -> Image.Image:
    """One moment of the bundled clip while it walks, from the front and the side."""
    motion = vitruve.load_motion(bundled_clip_path())
    model = body(f"open-smplh-{motion.gender}")
    speeds = (motion.translation[1:, :2] - motion.translation[:-1, :2]).norm(dim=-1)
    joints = motion.joints(model)
    feet = (joints[:-1, model.skeleton.index("left_ankle")] - joints[:-1, model.skeleton.index("right_ankle")]).norm(
        dim=-1
    )
    frame = int((feet * (speeds > 0.5 * speeds.max())).argmax())
    vertices = motion[frame : frame + 1].vertices(model)[0]
    facing = motion.rotations[frame, 0] @ motion.rotations.new_tensor([0.0, 0.0, 1.0])
    angle = math.degrees(math.atan2(float(facing[1]), float(facing[0]))) + 90
    return views([(vertices, model.faces)], [direction(angle), direction(angle + 90)])


def hands() -> Image.Image:
    """The left hand flat, half closed and as a fist: the back of the hand, the thumb's side, the palm."""
    model = body("open-smplx-neutral")
    meshes = [(posed(model, curl(model, "left", share)), model.faces) for share in (0, 0.5, 1)]
    ways = [direction(10, 70), direction(15, -5), direction(10, -70)]
    return views(meshes, ways, (400, 280), ("flat", "half", "fist"), part(model, "left_wrist"))


def head(degrees: Degrees = T_POSE, expression: Tensor | None = None) -> Mesh:
    """A body of the SMPL-X layout with its arms out of the way."""
    model = body("open-smplx-neutral")
    return posed(model, {**ARMS_DOWN, **degrees}, expression=expression), model.faces


def eye_colours(model: BodyModel) -> Tensor:
    """Clay, with white eyes and dark pupils, so that one sees where they look: [vertices, 3]."""
    colours = torch.tensor(CLAY).expand(model.num_vertices, 3).clone()
    for eye in ("left_eye_smplhf", "right_eye_smplhf"):
        ids = part(model, eye)
        outward = model.template[ids] - model.shaped().rest_joints[model.skeleton.index(eye)]
        ahead = outward[:, 2] / outward.norm(dim=-1)
        colours[ids] = torch.where(ahead[:, None] > 0.95, torch.tensor(PUPIL), torch.tensor(WHITE))
    return colours


def head_views(heads: Sequence[Mesh], ways: Sequence[tuple[float, float, float]], labels: Sequence[str]) -> Image.Image:
    """Close-ups of heads."""
    model = body("open-smplx-neutral")
    return views(heads, ways, (280, 330), labels, part(model, "head"), eye_colours(model))


def expressions() -> Image.Image:
    """Every expression at one, from the front and the side."""
    names = json.loads(open_words("smplx")["expression_names"])
    rows = []
    for start in range(0, len(names), 5):
        few = range(start, min(start + 5, len(names)))
        heads = [head(expression=torch.eye(len(names))[i]) for i in few]
        rows.append(head_views(heads, [FRONT, direction(50)], [names[i].replace("_", " ") for i in few]))
    return stack(rows)


def faces() -> Image.Image:
    """At rest, smiling, with the jaw open, looking left and up."""
    smile = torch.zeros(10)
    smile[0] = 1
    eyes = ("left_eye_smplhf", "right_eye_smplhf")
    heads = [
        head(),
        head(expression=smile),
        head({"jaw": (18, 0, 0)}),
        head({eye: (0, 28, 0) for eye in eyes}),
        head({eye: (-12, 0, 0) for eye in eyes}),
    ]
    return head_views(heads, [FRONT, direction(50)], ("at rest", "smile", "jaw open", "eyes left", "eyes up"))


def volume(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Volume inside a closed mesh, cubic metres."""
    a, b, c = vertices[triangles].unbind(-2)
    return (torch.linalg.cross(a, b) * c).sum() / 6


def shape_row(name: str, thing: str) -> Image.Image:
    """One body along one direction of its shape space: "height", or "weight" at one height."""
    model = body(name)
    betas = torch.zeros(model.num_betas, requires_grad=True)
    rest = model.shaped(betas).rest_vertices
    tall = rest[:, 1].max() - rest[:, 1].min()
    (up,) = torch.autograd.grad(tall, betas, retain_graph=True)
    (wide,) = torch.autograd.grad(volume(rest, model.faces), betas)
    keep = wide if thing == "height" else up
    way = (up if thing == "height" else wide).clone()
    # Along the first, at right angles to the second, so that one is seen without the other.
    if thing == "weight":
        way -= keep * (way @ keep) / (keep @ keep)
    way = way / way.norm()
    meshes, labels = [], []
    for amount in (-3.0, -1.5, 0.0, 1.5, 3.0):
        vertices = posed(model, A_POSE, amount * way)
        meshes.append((vertices, model.faces))
        at_rest = posed(model, T_POSE, amount * way)
        kilograms = 985 * float(volume(at_rest, model.faces))
        labels.append(f"{float(at_rest[:, 2].max()):.2f} m, about {kilograms:.0f} kg")
    return views(meshes, size=(300, 380), labels=labels)


def genders() -> Image.Image:
    """Female, neutral and male at their mean shapes."""
    names = ("female", "neutral", "male")
    meshes = [(posed(body(f"open-smplh-{name}"), A_POSE), body(f"open-smplh-{name}").faces) for name in names]
    labels = [f"{name}, {float(v[:, 2].max()):.2f} m" for name, (v, _) in zip(names, meshes, strict=True)]
    return views(meshes, size=(380, 420), labels=labels)


def meshes() -> Image.Image:
    """The triangles of both meshes: head and hand."""
    rows, size = [], (370, 370)
    for name in ("open-smplh-neutral", "open-smplx-neutral"):
        model, pictures = body(name), []
        for joint, degrees, way in (
            ("head", ARMS_DOWN, FRONT),
            ("head", ARMS_DOWN, SIDE),
            ("left_wrist", T_POSE, ABOVE),
        ):
            vertices = posed(model, degrees)
            camera = fit_camera(vertices[part(model, joint)], way, size)
            pictures.append(picture(vertices, model.faces, camera, size, wire=True))
        labels = (name, f"{model.num_vertices:,} vertices", f"{len(model.faces):,} triangles")
        rows.append(row(pictures, labels))
    return stack(rows)


def hero(frames: int = 10, height: int = 400) -> Image.Image:
    """The bundled clip as a strip, for the README."""
    motion: Motion = vitruve.load_motion(bundled_clip_path())
    return strip(motion, body(f"open-smplh-{motion.gender}"), frames, height)


@dataclass(frozen=True)
class Entry:
    """One picture of the gallery: what the page says of it, and how it is drawn."""

    title: str
    text: str
    draw: Callable[[], Image.Image]


ENTRIES = {
    "t_pose": Entry("At rest", "The T-pose: all rotations zero.", lambda: body_in(T_POSE)),
    "a_pose": Entry("A-pose", "Arms lowered by 48 degrees.", lambda: body_in(A_POSE)),
    "walk": Entry("Walking", "A moment of the bundled clip.", walk),
    "sit": Entry("Sitting", "Hips and knees at 88 degrees, elbows bent.", lambda: body_in(SIT)),
    "hands": Entry("Hands", "Flat is zero; every finger joint turns by itself.", hands),
    "faces": Entry("Face", "Jaw and eyes are joints of the SMPL-X layout.", faces),
    "expressions": Entry("Expressions", "Each coefficient of the expression space at one.", expressions),
    "weight": Entry(
        "Thin to heavy", "The shape space at one height.", lambda: shape_row("open-smplh-female", "weight")
    ),
    "height": Entry(
        "Short to tall", "The shape space along body height.", lambda: shape_row("open-smplh-male", "height")
    ),
    "genders": Entry("Female, neutral, male", "The three mean shapes.", genders),
    "meshes": Entry("Two meshes", "The SMPL and SMPL+H layouts share one mesh; SMPL-X has another.", meshes),
    "viewer": Entry("The viewer", "`vitruve view walk.npz walk_smplx.npz --side`", viewer),
    "render": Entry("A strip", "`vitruve render walk.npz walk_smplx.npz --layout side --heat -o strip.png`", rendered),
    "report": Entry("The report of a conversion", "The page that `vitruve convert` leaves, top to bottom.", report),
    "report_dark": Entry("The same in the dark", "Pages follow the light or dark of the system.", lambda: report(True)),
    "compare": Entry("A comparison", "The page of `vitruve compare walk.npz walk_smplx.npz`.", compared),
}


def write_page() -> None:
    """docs/gallery.md from the entries."""
    lines = [
        "# Gallery",
        "",
        "The open body that ships with Vitruve, drawn by Vitruve's own renderer, without a display or a graphics card,",
        "and screenshots of its pages. The clip is the bundled one; `walk_smplx.npz` is its conversion.",
        "The pictures are made by `make gallery` (that is `python docs/gallery.py`).",
    ]
    for name, entry in ENTRIES.items():
        lines += ["", f"## {entry.title}", "", entry.text, "", f"![{entry.title}](pictures/{name}.png)"]
    (FOLDER.parent / "gallery.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    known = [*ENTRIES, "hero"]
    parser = argparse.ArgumentParser(description="Draw the pictures of the docs.")
    parser.add_argument("names", nargs="*", help=f"pictures to draw: {', '.join(known)}")
    names = parser.parse_args().names or known
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"unknown picture '{unknown[0]}', choose from: {', '.join(known)}")
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        image = hero() if name == "hero" else ENTRIES[name].draw()
        path = save_picture(image, FOLDER / f"{name}.png", PALETTE)
        print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size / 1000:.0f} kB")
    write_page()


if __name__ == "__main__":
    main()
