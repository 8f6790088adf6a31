"""The page of a comparison in a browser: what it shows is what was measured; plain trees and meshes have pages too."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.browser import browser_page
from tests.material import small_body, small_motion
from vitruve.compare import compare_motions
from vitruve.draw.heat_views import heat_views
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.motion import translate_world
from vitruve.report.compare_page import comparison_page, overlay


@pytest.fixture(scope="module")
def body():
    return small_body("smplh", 120)


@pytest.fixture(scope="module")
def motion():
    return small_motion("smplh", 12)


def moved(motion):
    return translate_world(motion, torch.tensor([0.0, 0, 0.01]))


def test_the_page_in_a_browser(motion, body, tmp_path):
    comparison = compare_motions(motion, moved(motion), body, body)
    (tmp_path / "report.html").write_text(comparison_page(comparison), encoding="utf-8")
    errors = []
    with browser_page(errors=errors) as page:
        page.goto((tmp_path / "report.html").as_uri())
        assert "10.00 mm apart" in page.locator("p").first.inner_text()
        rows = [row.split("\t") for row in page.locator("table").nth(2).inner_text().splitlines()[1:]]
        parts = comparison.figures["vertex_mm"]["parts"]
        assert {row[0]: float(row[1]) for row in rows} == pytest.approx(parts, abs=0.01)
        assert page.locator("svg.plot:visible").count() == 5
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        papers = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            papers.append(np.mean([float(number) for number in re.findall(r"\d+", paper)[:3]]))
        assert papers[0] > 200 and papers[1] < 60
    assert errors == []


def test_a_tree_has_a_page_without_a_heat_map(motion, body):
    tree = replace(motion.skeleton, rest=body.shaped(motion.betas).rest_joints)
    comparison = compare_motions(motion, motion.replace(skeleton=tree, body="", betas=torch.zeros(0)), body)
    html = comparison_page(comparison)
    assert "Where on the body" not in html and "The joints are" in html
    image, caption = overlay(comparison)
    assert image.size[0] == 900 and "worst" in caption
    # The tree is drawn in the second cell: its colour is there.
    cell = np.asarray(image)[:420, 300:600].reshape(-1, 3).astype(int)
    assert (cell[:, 0] - cell[:, 2] > 60).sum() > 50


def test_meshes_have_a_page(motion, body):
    meshes = [MeshSequence(m.vertices(body), body.faces, ()) for m in (motion, moved(motion))]
    html = comparison_page(compare_motions(*meshes, fps=30))
    assert "Where on the body" in html and "By joint" not in html and not re.search(r"\bnan\b", html)


def test_pictures_are_of_the_worst_median_and_best_frame(motion, body):
    translation = motion.translation.clone()
    translation[:, 0] += torch.linspace(0.001, 0.012, 12, dtype=torch.float64)
    comparison = compare_motions(motion, motion.replace(translation=translation), body, body)
    assert comparison.frames_shown == {"worst": 11, "median": 5, "best": 0}


def test_heat_views_show_errors_and_what_is_unknown(body):
    rest = body.template.numpy()[:, [0, 2, 1]] * (1, -1, 1)
    errors = np.zeros(body.num_vertices)
    calm = np.asarray(heat_views(rest, body.faces.numpy(), errors, top_mm=5)).astype(int)
    hot = np.asarray(heat_views(rest, body.faces.numpy(), errors + 5, top_mm=5)).astype(int)
    unknown = np.asarray(heat_views(rest, body.faces.numpy(), errors + np.nan)).astype(int)
    assert calm.shape == hot.shape == unknown.shape
    changed = np.abs(calm - hot).sum(-1) > 60
    assert changed.mean() > 0.02  # the body, front and back
    assert (hot[changed][:, 0] > hot[changed][:, 1]).mean() > 0.9  # red
