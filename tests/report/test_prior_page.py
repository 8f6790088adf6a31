"""The pages of a prior: curves that show what training does, and what the energies of drawn poses compare with."""

import re

from vitruve.report.prior_page import curves_svg, training_page


def rows(count: int) -> list[dict[str, float]]:
    """Validations as a training leaves them: far off before it, then slowly better."""
    return [
        {
            "step": 250 * i,
            "seconds": 30.0 * i,
            "valid_mesh_m": 0.55 if not i else 0.07 - 0.001 * i,
            "valid_geodesic_rad": 2.2 if not i else 0.2,
        }
        for i in range(count)
    ]


def results() -> dict:
    return {
        **{
            "recipe": "own",
            "body": "b",
            "mesh_vertices": 9,
            "finished": "done",
            "warnings": [],
            "licences": ["CC0-1.0"],
        },
        **{"commercial_use": "yes", "train_poses": 9, "valid_poses": 9, "steps": 2, "best_step": 1, "seconds": 2.0},
        **{"epochs": 1.0, "poses_per_second": 9.0, "waiting_for_data": 0.0, "best": {"mesh_m": 0.06}},
    }


def test_curves_leave_out_the_untrained_network_where_there_are_others():
    long, short = curves_svg(rows(9)), curves_svg(rows(3))
    assert "550" not in long and "500" not in long and ">60<" in long
    assert ">500<" in short


def test_the_page_says_what_was_left_out():
    long, short = (training_page(results(), rows(count), None, {}) for count in (9, 3))
    assert "Before any training: skin 550 mm, angle 126 degrees" in long
    assert "Before any training" not in short
    assert re.search(r"2\.0 s<", long)  # a training of seconds is not told as 0.0 minutes
