"""See a motion through a camera: its joints as keypoints in pixels."""

import vitruve
from vitruve.geometry.camera import look_at
from vitruve.motion import Keypoints, bundled_clip_path

motion = vitruve.load_motion(bundled_clip_path())
body = vitruve.load_body("open-smplh-neutral")
joints = Keypoints(motion.joints(body), motion.fps, motion.skeleton)  # [frames, joints, 3], metres
camera = look_at((0.0, -6.0, 1.2), (0.0, 0.0, 1.0), size=(1280, 720), fov_deg=40)
seen = joints.select(["left_wrist", "right_wrist"]).projected(camera)
print("the wrists in the first picture:", seen.positions[0].tolist())
