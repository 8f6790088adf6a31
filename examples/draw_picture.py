"""Draw a motion as one wide picture: bodies at equal time intervals."""

import vitruve
from vitruve.draw import save_picture, strip
from vitruve.motion import bundled_clip_path

motion = vitruve.load_motion(bundled_clip_path())
body = vitruve.load_body("open-smplh-neutral")
save_picture(strip(motion, body, frames=5, height=320), "walk.png")
