"""The settings of VPoser's published training are taken as a recipe, and what is wrong in them is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from vitruve.errors import BadData, MissingAsset
from vitruve.priors.plain_yaml import flat, read_yaml
from vitruve.priors.recipe import load_recipe

# The layout of the published file: which keys stand where, and their values.
PUBLISHED = """---
body_model:
  gender: neutral
  bm_fname: ../models/model.npz
general:
  verbosity: 0
  expr_id:
  rnd_seed: 100   # a remark
logging:
  render_during_training: False
train_parms:
  batch_size: 128
  num_epochs: 100
  gen_optimizer:
    type: Adam
    args:
      lr: 0.001
      weight_decay: 0.00001
  lr_scheduler:
    type: ReduceLROnPlateau
    args:
      #  metrics: val_loss
      patience: 5
  early_stopping:
    monitor: val_loss
    min_delta: 0.0
    patience: 10
  keep_extra_loss_terms_until_epoch: 15
  loss_weights:
    loss_kl_wt: 0.005
    loss_rec_wt: 4
    loss_matrot_wt: 2
    loss_jtr_wt: 2
data_parms:
  num_timeseq_frames: {}
  amass_splits:
    vald:
      - BMLrub_vald
    train:
    - CMU
    - BMLrub_train
model_params:
  num_neurons : 512
  latentD : 32
"""


def test_the_published_settings_are_the_published_recipe(tmp_path: Path):
    (tmp_path / "V02_05.yaml").write_text(PUBLISHED)
    found, ours = load_recipe(tmp_path / "V02_05.yaml"), load_recipe("vposer-v02_05")
    assert found.name == "V02_05" and "body_model.bm_fname" in found.about
    training = replace(ours.training, seed=100)
    assert found == replace(ours, name="V02_05", about=found.about, training=training)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("loss_kl_wt", "loss_kl_w", ("unknown key", "loss_kl_wt")),
        ("num_neurons", "num_neuron", ("unknown key", "num_neurons")),
        ("type: Adam", "type: SGD", ("gen_optimizer.type", "SGD")),
        ("lr: 0.001", "lr: fast", ("learning_rate", "fast")),
        ("rnd_seed: 100", "rnd_seed: [100", ("invalid", "line 8")),
        ("  batch_size: 128", "  batch_size 128", ("invalid", "line 12")),
        ("  gender: neutral", "\tgender: neutral", ("invalid", "line 3")),
        ("  gender: neutral", "  gender: 'neutral", ("invalid", "line 3")),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: tuple[str, ...]):
    path = tmp_path / "a.yaml"
    path.write_text(PUBLISHED.replace(old, new))
    with pytest.raises(BadData) as error:
        load_recipe(path)
    assert str(path) in error.value.where and all(word in str(error.value) for word in said)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(MissingAsset):
        load_recipe(tmp_path / "none.yaml")


def test_plain_values():
    text = "a:\n  b: [1, 2.5, x]\n  c: 'it: #1'\n  d: 1e-3\nlist:\n- one\n- 2\nnothing: null\n"
    found = read_yaml(text, "here")
    assert found == {"a": {"b": [1, 2.5, "x"], "c": "it: #1", "d": 0.001}, "list": ["one", 2], "nothing": None}
    assert flat(found) == {"b": [1, 2.5, "x"], "c": "it: #1", "d": 0.001, "list": ["one", 2]}
