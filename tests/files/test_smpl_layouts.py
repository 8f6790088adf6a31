"""The layouts agree with the joint trees, and with what AMASS and the smplx package document."""

from vitruve.files.smpl_layouts import BY_COLUMNS, LAYOUTS, slices
from vitruve.skeletons import load_skeleton


def test_the_layouts_have_the_joints_of_their_trees():
    for layout in LAYOUTS.values():
        assert layout.columns == 3 * len(load_skeleton(layout.skeleton))
        if layout.arrays:
            assert sum(layout.arrays.values()) == sum(layout.parts.values())
    assert {columns: layout.body for columns, layout in BY_COLUMNS.items()} == {72: "smpl", 156: "smplh", 165: "smplx"}


def test_the_columns_are_those_of_amass_and_of_the_smplx_package():
    columns = slices(LAYOUTS["smplx"].arrays, 3)
    assert {key: (part.start, part.stop) for key, part in columns.items()} == {
        "root_orient": (0, 3),
        "pose_body": (3, 66),
        "pose_jaw": (66, 69),
        "pose_eye": (69, 75),
        "pose_hand": (75, 165),
    }
    joints = load_skeleton("smplx55").names
    first = {key: joints[part.start] for key, part in slices(LAYOUTS["smplx"].parts).items()}
    assert first["jaw_pose"] == "jaw" and first["right_hand_pose"].startswith("right_")
    assert first["left_hand_pose"].startswith("left_") and first["body_pose"] == "left_hip"
