"""Files in the layouts of the releases: read whole or refused, and none of their code is run."""

import os
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch

from tests.priors.prior_material import random_network
from vitruve.errors import BadData, MissingAsset
from vitruve.priors.prior import network_of
from vitruve.priors.released import describe, load_prior, odd_statistics
from vitruve.priors.vposer import VPoser, VPoserV1

YAML = """# as released
body_model:
  gender: neutral
  bm_path: /somewhere/of/theirs/SMPLX_NEUTRAL.npz
model_params:
  num_neurons: {hidden}
  latentD: {latent}
"""


def lightning_class(name: str) -> type:
    """A class of a package that is not installed, as a checkpoint of Lightning names it."""
    module = sys.modules.setdefault("absent_lightning", types.ModuleType("absent_lightning"))
    kind = type(name, (), {"__module__": module.__name__})
    setattr(module, name, kind)
    return kind


def write_v2(path: Path, weights: dict, old: bool = False) -> Path:
    """A checkpoint as the release has it: prefixed weights, the body model, callbacks by class."""
    stopping, thing = lightning_class("EarlyStopping"), lightning_class("Thing")
    odd = thing()
    odd.inside = [stopping, {"x": torch.zeros(2)}]
    body = {"bm_train.f": torch.zeros(4, 3, dtype=torch.int32), "bm_train.posedirs": torch.zeros(6, 9)}
    content = {
        "epoch": 13,
        "callbacks": {stopping: {"best_score": torch.tensor(0.03), "patience": 10}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "hyper_parameters": odd,
        "state_dict": {f"vp_model.{key}": value for key, value in weights.items()} | body,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.save(content, path, _use_new_zipfile_serialization=not old)
    finally:
        del sys.modules["absent_lightning"]
    return path


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) and x.dtype == y.dtype for x, y in pairs)


@pytest.mark.parametrize("old", [False, True])
def test_the_released_folder(tmp_path: Path, old: bool):
    network, other = random_network(), random_network(seed=1)
    folder = tmp_path / "V02_05"
    write_v2(folder / "snapshots" / "V02_05_epoch=13_val_loss=0.03.ckpt", network.state_dict(), old)
    earlier = write_v2(folder / "snapshots" / "V02_05_epoch=08_val_loss=0.03.ckpt", other.state_dict(), old)
    os.utime(earlier, (2e9, 2e9))  # copied last: the date must not count
    (folder / "V02_05.yaml").write_text(YAML.format(hidden=24, latent=5))
    prior = load_prior(folder)
    assert same_weights(prior.network, network) and prior.kind == "vposer-v2" and not prior.network.training
    assert len(prior.notes) == 1 and "bm_train.f, bm_train.posedirs" in prior.notes[0]
    facts = describe(prior)
    assert facts["commercial use"] == "no" and facts["body of the loss"] == "SMPLX_NEUTRAL.npz"
    assert same_weights(load_prior(earlier).network, other)


def test_the_order_of_the_weights_does_not_matter(tmp_path: Path):
    weights = dict(sorted(random_network().state_dict().items()))
    assert next(iter(weights)).startswith("decoder")
    assert load_prior(write_v2(tmp_path / "a.ckpt", weights)).kind == "vposer-v2"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("spelling", ["latentD", "latentd"])
def test_version_one(tmp_path: Path, old: bool, spelling: str):
    network = random_network(VPoserV1)
    (tmp_path / "snapshots").mkdir()
    torch.save(network.state_dict(), tmp_path / "snapshots" / "TR00_E096.pt", _use_new_zipfile_serialization=not old)
    (tmp_path / "TR00_vposer.ini").write_text(f"[All]\nnum_neurons : 24\n{spelling} = 5\nbm_path: /x/model.npz\n")
    prior = load_prior(tmp_path)
    assert prior.kind == "vposer-v1" and same_weights(prior.network, network)
    assert prior.sample(3, torch.Generator().manual_seed(0)).shape == (3, 21, 3, 3)


def test_both_spellings_of_the_body_file(tmp_path: Path):
    path = write_v2(tmp_path / "snapshots" / "a.ckpt", random_network().state_dict())
    for key in ("bm_path", "bm_fname"):
        (tmp_path / "a.yaml").write_text(YAML.replace("bm_path", key).format(hidden=24, latent=5))
        assert load_prior(path).words["settings"]["body_model"] == "SMPLX_NEUTRAL.npz"


def test_every_wrong_key_is_listed(tmp_path: Path):
    weights = random_network().state_dict()
    del weights["encoder_net.6.bias"], weights["decoder_net.5.weight"]
    weights |= {"encoder_net.9.weight": torch.zeros(2), "decoder_net.0.weight": torch.zeros(24, 9)}
    with pytest.raises(BadData, match=r"4 of 26 entries") as error:
        load_prior(write_v2(tmp_path / "a.ckpt", weights))
    for said in (
        "missing encoder_net.6.bias (24,)",
        "missing decoder_net.5.weight (126, 24)",
        "unexpected encoder_net.9.weight (2,)",
        "decoder_net.0.weight is (24, 9), expected (24, 5)",
    ):
        assert said in error.value.where


@pytest.mark.parametrize("kind", [VPoser, VPoserV1])
def test_whichever_weight_is_missing_is_named(tmp_path: Path, kind: type):
    weights = random_network(kind).state_dict()
    for key in weights:
        torch.save({name: value for name, value in weights.items() if name != key}, tmp_path / "a.pt")
        with pytest.raises(BadData, match="1 of") as error:
            load_prior(tmp_path / "a.pt")
        assert f"missing {key} {tuple(weights[key].shape)}" in error.value.where


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "model_params:\n  num_neurons 24\n"), ("a.ini", "num_neurons = 24\n")]
)
def test_broken_settings_are_not_passed_over(tmp_path: Path, name: str, text: str):
    path = write_v2(tmp_path / "snapshots" / "a.ckpt", random_network().state_dict())
    (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match="settings") as error:
        load_prior(path)
    assert str(tmp_path / name) in error.value.where and error.value.fix


def test_a_prior_says_what_it_is():
    assert repr(load_prior("open")).startswith("Prior('open': vposer-v2, 32 latent dimensions, recipe vitruve, 57,")
    assert repr(load_prior("open")).endswith("commercial use: yes)")


def test_numbers_that_are_none(tmp_path: Path):
    weights = random_network().state_dict()
    weights["decoder_net.3.bias"] = torch.full((24,), torch.nan)
    with pytest.raises(BadData, match="not finite") as error:
        load_prior(write_v2(tmp_path / "a.ckpt", weights))
    assert "decoder_net.3.bias" in error.value.where


def test_settings_of_another_network(tmp_path: Path):
    path = write_v2(tmp_path / "snapshots" / "a.ckpt", random_network().state_dict())
    (tmp_path / "a.yaml").write_text(YAML.format(hidden=512, latent=5))
    with pytest.raises(BadData, match="do not belong") as error:
        load_prior(path)
    assert "hidden is 512, the weights have 24" in error.value.where


@pytest.mark.parametrize("kind", [VPoser, VPoserV1])
def test_statistics_that_do_not_fit_are_reported(kind: type):
    weights = random_network(kind, hidden=200).state_dict()
    second = "encoder_net.4" if kind is VPoser else "bodyprior_enc_bn2"
    assert odd_statistics(weights) == []
    mixed = {**weights, f"{second}.running_mean": weights[f"{second}.running_mean"].flip(0)}
    assert "do not fit the weights" in odd_statistics(mixed)[0]
    fresh = {**weights, f"{second}.running_mean": torch.zeros(200), f"{second}.running_var": torch.ones(200)}
    assert "never trained" in odd_statistics(fresh)[0]
    negative = {**weights, f"{second}.running_var": -weights[f"{second}.running_var"]}
    assert "200 values that are not positive" in odd_statistics(negative)[0]
    unseen = {**weights, f"{second}.num_batches_tracked": torch.tensor(0)}
    assert "has seen no batch" in odd_statistics(unseen)[0]


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path):
    weights, harm = random_network().state_dict(), tmp_path / "harm"
    for old in (False, True):
        torch.save(
            {"state_dict": weights, "callbacks": _Harm(harm)},
            tmp_path / "a.ckpt",
            _use_new_zipfile_serialization=not old,
        )
        assert same_weights(load_prior(tmp_path / "a.ckpt").network, random_network())
        torch.save(
            {**weights, "decoder_net.0.bias": _Harm(harm)}, tmp_path / "b.pt", _use_new_zipfile_serialization=not old
        )
        with pytest.raises(BadData, match="not a tensor"):
            load_prior(tmp_path / "b.pt")
    assert not harm.exists()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_short(tmp_path: Path, old: bool, part: float):
    path = write_v2(tmp_path / "a.ckpt", random_network().state_dict(), old)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(BadData):
        load_prior(path)


def test_what_is_no_prior(tmp_path: Path):
    with pytest.raises(MissingAsset, match="holds no prior"):
        load_prior(tmp_path)
    with pytest.raises(MissingAsset):
        load_prior(tmp_path / "none.ckpt")
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BadData):
        load_prior(tmp_path / "a.ckpt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "b.pt")
    with pytest.raises(BadData, match="not weights of VPoser"):
        load_prior(tmp_path / "b.pt")
    torch.save([1, 2], tmp_path / "c.pt")
    with pytest.raises(BadData, match="no weights"):
        load_prior(tmp_path / "c.pt")
    (tmp_path / "d.txt").write_text("x")
    with pytest.raises(BadData, match="not a file of a prior"):
        load_prior(tmp_path / "d.txt")


def test_the_slope_of_the_activations_matters():
    """Shapes cannot tell the published network from a likeness of it with other activations; values do."""
    network = random_network()
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        right = network.decode(z)
        network.decoder_net[1].negative_slope = 0.2
        assert float((network.decode(z) - right).abs().max()) > 1e-3
    assert isinstance(network_of(network.state_dict(), ""), VPoser)
