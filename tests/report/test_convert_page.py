"""The report of a conversion shows the figures of results.json, in a browser too, and lets no name become markup."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import vitruve
from tests.browser import browser_page
from tests.cli.convert_material import BODIES, run
from tests.material import small_motion
from tests.report.test_blocks import Checker
from vitruve.cli import main
from vitruve.convert.summary import summarise
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.jobs.ledger import read_ledgers
from vitruve.motion.performer import mesh_performer, motion_performer
from vitruve.report.blocks import Figure, Table
from vitruve.report.convert_page import conversion_page
from vitruve.report.convert_pictures import Shown, heat_map, load_shown, picture_blocks
from vitruve.report.pose_pictures import pose_blocks


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run with one file, whose name is hostile."""
    folder = tmp_path_factory.mktemp("one")
    motion = small_motion("smplh", 12, seed=3).replace(gender="neutral")
    vitruve.save_motion(motion, folder / "<b>walk & run.npz")
    assert run(folder / "<b>walk & run.npz", *BODIES, "--out", folder / "out", "--quiet") == 0
    return folder / "out"


def entry_of(out):
    (entry,) = read_ledgers(out).last.values()
    return entry


def test_the_page_is_complete_and_names_are_text(one):
    checked = Checker((one / "report.html").read_text())
    assert "b" not in checked.tags and "script" not in checked.tags
    assert any("<b>walk & run.npz" in text for text in checked.texts)
    assert all(value.startswith("data:") for _, key, value in checked.attributes if key in ("src", "href"))
    printed = " ".join(checked.texts)
    for heading in (
        *("Figures", "Source and result", "Where on the body the error is", "Shape before and after"),
        *("Error frame by frame", "Mean error by part of the body", "Where the time went", "Licences and citations"),
    ):
        assert heading in printed
    assert all(value for tag, key, value in checked.attributes if (tag, key) == ("img", "alt"))


def test_figures_are_those_of_the_results(one):
    texts = Checker((one / "report.html").read_text()).texts
    results = json.loads((one / "results.json").read_text())
    error, numbers = results["error_mm"], [text.split()[0] for text in texts if re.fullmatch(r"[\d.]+ (mm|s)", text)]
    for value in (error["mean"], error["p95"], error["max"], results["map_residual_mm"]):
        assert f"{value:.2f} mm" in texts
    for value in (*error["groups"].values(), *(s for s in results["stages"].values() if s > 0.001)):
        assert any(float(number) == pytest.approx(value, rel=6e-3) for number in numbers)


def test_the_curve_is_that_of_the_measured_frames(one):
    entry = entry_of(one)
    curve, shown = entry["curve"], entry["shown_frames"]
    assert curve["frame"] == list(range(12))
    assert np.mean(curve["mean_mm"]) == pytest.approx(entry["error_mm"]["mean"], abs=1e-3)
    assert max(curve["max_mm"]) == pytest.approx(entry["error_mm"]["max"], abs=1e-3)
    worst, best = (curve["mean_mm"][shown[word]] for word in ("worst", "best"))
    assert (best, worst) == (min(curve["mean_mm"]), max(curve["mean_mm"]))


def test_a_browser_shows_the_same_numbers_and_asks_nobody(one):
    errors, asked = [], []
    with browser_page(errors=errors) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto((one / "report.html").as_uri())
        table = page.locator("table").first.inner_text()
        results = json.loads((one / "results.json").read_text())
        assert f"{results['error_mm']['mean']:.2f} mm" in table and "12 frames" in table
        groups = page.locator("svg.wide[aria-label^='bars, mm'] rect")
        wide = [float(groups.nth(i).get_attribute("width")) for i in range(groups.count())]
        expected = sorted(results["error_mm"]["groups"].values(), reverse=True)
        assert np.allclose(np.array(wide) / wide[0], np.array(expected) / expected[0], atol=0.01)
        sizes = page.locator("img").evaluate_all("all => all.map(i => [i.naturalWidth, i.clientWidth])")
        assert sizes and all(natural > 0 and shown > 100 for natural, shown in sizes)
        for width, dark in ((1280, False), (400, False), (400, True)):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme="dark" if dark else "light")
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert_ink_stands_out(page, dark)
    assert errors == [] and all(url.startswith(("file:", "data:")) for url in asked)


def assert_ink_stands_out(page, dark):
    ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    label = page.locator("svg.plot text").first.evaluate("text => getComputedStyle(text).fill")
    ink, paper, label = (np.mean(list(map(float, re.findall(r"\d+", c)[:3]))) for c in (ink, paper, label))
    assert (paper < 60) == dark and abs(ink - paper) > 90 and abs(label - paper) > 90


def test_pictures_say_where_the_error_is_and_how_tall_the_bodies_are(one):
    entry = entry_of(one)
    shown = load_shown(entry, one)
    assert shown is not None
    blocks = picture_blocks(shown)
    figures = [block for block in blocks if isinstance(block, Figure)]
    assert len(figures) == 3 and "at each vertex" in figures[1].caption
    (table,) = [block for block in blocks if isinstance(block, Table)]
    tall = [f"{performer.height:.3f} m" for performer in (shown.source, shown.result)]
    assert list(table.header) == ["", "source", "result"] and list(table.rows[0]) == ["height", *tall]
    assert table.rows[1] == ("beta 0", *(f"{float(one.motion.betas[0]):.2f}" for one in (shown.source, shown.result)))
    assert abs(float(tall[0].split()[0]) - float(tall[1].split()[0])) < 0.02


def test_the_command_to_look_at_it_works(one, capsys, monkeypatch):
    monkeypatch.chdir(one)
    texts = Checker((one / "report.html").read_text()).texts
    (command,) = [shlex.split(text) for text in texts if text.startswith("vitruve view ")]
    with pytest.raises(SystemExit) as done:
        main([*command[1:], "--dry-run"])
    assert done.value.code == 0 and "open-smplx-neutral" in capsys.readouterr().out


def test_a_heat_map_is_red_where_the_surfaces_are_apart(one):
    shown = load_shown(entry_of(one), one)
    same = Shown("same", shown.result, shown.result, {"best": 0})
    rotations = shown.result.motion.rotations.clone()
    body = shown.result.body
    elbow = body.skeleton.index("left_elbow")
    rotations[:, elbow] = rotations[:, elbow].transpose(-1, -2) @ rotations[:, elbow].roll(1, -1)
    turned = motion_performer(shown.result.motion.replace(rotations=rotations), body)
    moved = Shown("moved", shown.result, turned, {})
    reds = []
    for case in (same, moved):
        picture = heat_map(case)
        pixels = np.asarray(picture.image.convert("RGB")).astype(int)[:380]
        reds.append(int(((pixels[..., 0] - pixels[..., 2]) > 60).sum()))
    assert reds[0] == 0 and reds[1] > 500


def test_without_the_input_the_page_has_figures_still(one, tmp_path):
    entry = {**entry_of(one), "input": str(tmp_path / "gone.npz")}
    assert load_shown(entry, one) is None
    html = conversion_page(summarise([entry], []), [entry])
    assert "Error frame by frame" in html and "<img" not in html


def test_a_line_of_an_earlier_version_has_no_curve(one):
    entry = {key: value for key, value in entry_of(one).items() if key != "curve"}
    assert "Error frame by frame" not in conversion_page(summarise([entry], []), [entry])


def test_nothing_done_and_all_failed():
    failed = [{"input": "<i>.npz", "output": "x", "what": "bad", "where": "here", "do": "that", "exit_code": 4}]
    for failures in ([], failed):
        checked = Checker(conversion_page(summarise([], failures), [], failures))
        assert "i" not in checked.tags and checked.tags.count("svg") == 0


def test_a_foreign_skeleton_is_drawn_beside_its_result(tmp_path):
    """Its joints, since it has no surface; and no heat map."""
    motion = small_motion("smplh", 6, seed=1).replace(gender="neutral")
    body = vitruve.load_body("open-smplh-neutral")
    vitruve.save_motion(motion, tmp_path / "take.bvh", body=body)
    bvh = vitruve.load_motion(tmp_path / "take.bvh")
    shown = Shown("take.bvh", motion_performer(bvh), motion_performer(motion, body), {"worst": 2})
    figures = [block for block in picture_blocks(shown) if isinstance(block, Figure)]
    assert len(figures) == 2 and isinstance(figures[0].image, Image.Image) and "skeleton" in figures[0].caption
    colours = figures[0].image.getcolors(1 << 20)
    assert len(colours) > 50


def test_single_poses_are_drawn_by_their_ids(tmp_path):
    """Two people of two genders: each is drawn on the bodies of its own, and no figure speaks of time."""
    motion = small_motion("smplh", 4, seed=2)
    rotations = matrix_to_axis_angle(motion.rotations).flatten(1).numpy()
    genders = np.array(["neutral", "male", "male", "neutral"])
    np.savez(tmp_path / "poses.npz", ids=[f"<i>{i}" for i in range(4)], poses=rotations, gender=genders)
    assert run(tmp_path / "poses.npz", *BODIES, "--out", tmp_path / "out", "--quiet") == 0
    html = (tmp_path / "out" / "report.html").read_text()
    checked, entry = Checker(html), entry_of(tmp_path / "out")
    printed = " ".join(checked.texts)
    assert "i" not in checked.tags and checked.tags.count("img") == 2
    assert "Error pose by pose" in printed and "jitter added" not in printed
    assert not re.search("frame", " ".join(checked.texts[3:]))
    overlay, heat = (block for block in pose_blocks(entry, tmp_path / "out") if isinstance(block, Figure))
    assert overlay.image.width == 900 and overlay.image.height > 3 * 420 and "over 4 poses" in heat.caption
    largest = float(re.search(r"largest mean is ([\d.]+) mm", heat.caption)[1])
    assert entry["error_mm"]["mean"] < largest <= entry["error_mm"]["max"] * 1.5
    assert pose_blocks({**entry, "input": "gone.npz"}, tmp_path / "out") == []


def test_meshes_of_another_body_have_a_heat_map(tmp_path):
    """The body is recognised by its faces; its map says where each vertex of the result belongs."""
    body, target = vitruve.load_body("open-smplh-neutral"), vitruve.load_body("open-smplx-neutral")
    vertices, result = small_motion("smplh", 2).vertices(body), motion_performer(small_motion("smplx", 2), target)
    unknown = mesh_performer(vertices, body.faces, 30.0)
    assert heat_map(Shown("meshes", unknown, result, {"worst": 0})) is None
    known = replace(unknown, body=body)
    assert "over 2 frames" in heat_map(Shown("meshes", known, result, {"worst": 0})).caption


def test_a_batch_shows_its_worst_file(tmp_path):
    for seed in range(2):
        vitruve.save_motion(small_motion("smplh", 6, seed=seed).replace(gender="neutral"), tmp_path / f"clip{seed}.npz")
    assert run(tmp_path, *BODIES, "--out", tmp_path / "out", "--quiet") == 0
    html = (tmp_path / "out" / "report.html").read_text()
    entries = read_ledgers(tmp_path / "out").last.values()
    worst = max(entries, key=lambda entry: entry["error_mm"]["mean"])["output"]
    assert f"The worst file: {worst}" in html and html.count("<figure>") >= 7
    rows = re.findall(r"<tr><td>(clip\d\.npz)</td>", html)
    assert rows[0] == worst and len(rows) == 2
