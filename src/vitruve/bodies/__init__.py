"""Body models: the type and its posing, official model files, the catalogue, the open body."""

from vitruve.bodies.body_model import BodyModel, ShapedBody
from vitruve.bodies.hands import HandSpace

__all__ = ["BodyModel", "HandSpace", "ShapedBody"]
