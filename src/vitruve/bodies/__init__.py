"""Body models: the type, posing, official model files, the catalogue, the open body."""

from vitruve.bodies.body_model import BodyModel, ShapedBody
from vitruve.bodies.catalogue import load_body
from vitruve.bodies.files import BodyNotice, read_body
from vitruve.bodies.hands import HandSpace

__all__ = ["BodyModel", "BodyNotice", "HandSpace", "ShapedBody", "load_body", "read_body"]
