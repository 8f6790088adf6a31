"""Pages begin with the answer, in words and with the numbers of the tables below."""

from vitruve.report.data_page import data_page
from vitruve.report.prior_evaluation_page import _in_short


def test_an_evaluation_begins_with_the_prior_beside_the_others():
    scores = {
        "prior": {"mpve_mm": 39.73, "fid/joints22@5000": 0.314},
        "pca": {"mpve_mm": 60.24},
        "training poses": {"fid/joints22@5000": 0.3157},
    }
    (note,) = _in_short(scores)
    back, drawn, _ = note.text.split("\n")
    assert "39.73 mm" in back and back.endswith("pca 60.24.") and "training" not in back
    assert "0.3140 (fid/joints22@5000" in drawn and drawn.endswith("training poses 0.3157.")
    assert _in_short({"prior": {"kl_nats": 3.0}}) == []


def test_a_store_says_first_whether_something_is_odd():
    odd = {"severity": "note", "clips": 1, "first": "a", "what": "still", "where": "", "hint": ""}
    figures = {
        **{"store": "s", "frames": 10, "clips": 1, "subjects": 1, "hours": 0.1, "non_commercial": False, "fps": [30.0]},
        **{"licences": ["CC0"], "sets": {}, "bodies": [], "masked_frames": 0, "retarget_error_mm": None},
        **{"seconds": {"median": 1.0, "max": 2.0}, "seconds_histogram": {"bin_s": 1.0, "clips": [1]}},
        **{"hours_by_fps": {}, "hours_by_body": {}, "hours_by_gender": {}, "turns_deg": {}, "labels": {}, "fields": {}},
        **{"clips_looked_through": 1, "frames_looked_through": 10, "findings": [odd]},
    }
    for findings, printed in (
        ([odd], "1 thing is odd"),
        ([odd] * 2, "2 things are odd"),
        ([], "nothing odd was found"),
    ):
        page = data_page({**figures, "findings": findings})
        assert (
            page.index(printed) < page.index("Data sets") < page.index("What is odd") < page.index("How long clips are")
        )
