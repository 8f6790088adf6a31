"""Who made what a result rests on: every kind of body has its licence, and what is to be cited is reported once."""

import re

import pytest

from tests.report.test_blocks import Checker
from vitruve.bodies.catalogue import LICENSED, body_names
from vitruve.errors import UsageError
from vitruve.report.blocks import page
from vitruve.report.credits import CREDITS, credits, likely_sources
from vitruve.skeletons import load_skeleton


def table_of(*arguments, **more):
    return credits(*arguments, **more)[1].rows


@pytest.mark.parametrize("name", body_names())
def test_every_body_has_a_licence(name):
    what, licence, cite = table_of([name])[0]
    assert what == f"body {name}" and cite
    assert ("CC0" in licence) == name.startswith("open-")
    if not name.startswith("open-"):
        layout = name.split("-")[0]
        assert "non-commercial" in licence and LICENSED[layout].site in licence


@pytest.mark.parametrize(
    ("file", "licence"),
    [
        ("/data/SMPLX_MALE.npz", "smpl-x.is.tue.mpg.de"),
        ("models/smplh_female.pkl", "mano.is.tue.mpg.de"),
        ("C:\\bodies\\SMPL_NEUTRAL.pkl", "smpl.is.tue.mpg.de"),
        ("/smplx/own.npz", "the terms that the file came with"),
    ],
)
def test_model_files_are_known_by_their_names(file, licence):
    assert licence in table_of([file])[0][1]


def test_what_is_shared_stands_once():
    rows = table_of(["open-smplh-male", "open-smplx-male", "open-smplh-male"])
    assert [row[0] for row in rows] == ["body open-smplh-male, body open-smplx-male", "the motions"]
    blocks = credits(["smplh-male", "mano-left"])
    assert len(blocks[1].rows) == 3 and blocks[2].text.count("@misc") == 1


@pytest.mark.parametrize("key", CREDITS)
def test_entries_are_complete(key):
    credit = CREDITS[key]
    assert credit.name and credit.licence and bool(credit.title) == bool(credit.bibtex) == bool(credit.authors)
    assert credit.bibtex.count("{") == credit.bibtex.count("}")
    if credit.bibtex:
        assert re.match(r"@misc\{[\w:.-]+,\n", credit.bibtex) and credit.title in credit.citation
        assert credit.year == 0 or 2000 < credit.year < 2030


def test_joint_trees_tell_of_data_sets():
    assert likely_sources(["bandai_namco22", "cmu31", "smpl24"]) == ["bandai-namco", "cmu"]
    assert likely_sources([], ["smplh", "smplx", "mano"]) == ["amass"]
    assert all(load_skeleton(name) for name in ("cmu31", "bandai_namco22"))
    assert "if they are" in table_of(likely=["cmu"])[0][0]


def test_names_do_not_become_markup():
    checked = Checker(page("t", credits(["<script>x</script>.npz"])))
    assert "script" not in checked.tags and "body <script>x</script>.npz" in checked.texts


def test_an_unknown_key_is_an_error():
    with pytest.raises(UsageError, match="amas") as error:
        credits(also=["amas"])
    assert "amass" in error.value.fix
