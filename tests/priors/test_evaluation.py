"""Evaluation: every component as computed by hand, the same whatever the blocks and the order, and clear errors."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.material import small_motion
from tests.priors.prior_material import body, data, poses, random_network
from vitruve import save_motion
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.priors import reconstruction_scores
from vitruve.priors.evaluation import JudgedPoses, definitions, evaluate_prior, poses_of_store
from vitruve.priors.losses import COMPONENTS, sampled
from vitruve.priors.prior import Prior
from vitruve.priors.reconstruction_scores import BODY_JOINTS, noise_of
from vitruve.priors.surface import body_surface
from vitruve.priors.training import measure
from vitruve.priors.vposer import VPoser

COUNT = 90
LEARNED = poses(200, seed=7)


def prior() -> Prior:
    return Prior(random_network(hidden=24, latent=5), "tiny", VPoser.kind)


def judged(count: int = COUNT, order: np.ndarray | None = None) -> JudgedPoses:
    vectors = poses(count)
    rows = np.arange(count) if order is None else order
    return JudgedPoses(lambda rows: vectors[torch.as_tensor(np.asarray(rows))], rows, rows // 10, "tiny")


def evaluate(**changes) -> dict:
    options = {"poses": judged(), "samples": 40, "seed": 3} | changes
    return evaluate_prior(prior(), options.pop("poses"), LEARNED, body(), **options)


@pytest.fixture(scope="module")
def results() -> dict:
    return evaluate()


def test_components_are_what_they_say(results: dict) -> None:
    network, surface = prior().network, body_surface(body())
    wanted = axis_angle_to_matrix(poses(COUNT))
    vertices, joints = surface.pose(wanted)
    posterior = network.encode(wanted)
    noise = noise_of(np.arange(COUNT), 5, 3)
    found = results["scores"]["prior"]
    for code, name in ((posterior.mean, lambda name: name), (posterior.mean + posterior.std * noise, sampled)):
        rotations = network.decode(code)
        other, points = surface.pose(rotations)
        cosine = ((rotations.mT @ wanted).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        expected = {
            "mesh_m": (other - vertices).square().sum(-1).sqrt().mean(),
            "mesh_l1_m": (other - vertices).abs().mean(),
            "joints_m": (points - joints).square().sum(-1).sqrt().mean(),
            "joints_l1_m": (points - joints).abs().mean(),
            "geodesic_rad": cosine.clamp(-1, 1).acos().mean(),
        }
        assert set(expected) == set(COMPONENTS)
        for key, value in expected.items():
            assert found[name(key)] == pytest.approx(float(value), rel=1e-4), name(key)
    mean, std = posterior.mean.double(), posterior.std.double()
    nats = (-std.log() + (std.square() + mean.square()) / 2 - 0.5).sum(1).mean()
    assert found["kl_nats"] == pytest.approx(float(nats), rel=1e-5)
    assert found["kl_nats_per_dimension"] == pytest.approx(float(nats) / 5, rel=1e-5)
    assert sum(results["kl_nats_by_dimension"]) == pytest.approx(found["kl_nats"])
    assert found["mpve_mm"] == pytest.approx(1000 * found["mesh_m"])


def test_joints_by_hand(results: dict) -> None:
    surface, wanted = body_surface(body()), axis_angle_to_matrix(poses(COUNT))
    decoded = prior().reconstruct(wanted)
    off = 1000 * (surface.pose(decoded)[1] - surface.pose(wanted)[1])[:, :22].norm(dim=-1)
    table = results["per_joint"]["prior"]
    assert tuple(table) == BODY_JOINTS
    for i, name in enumerate(BODY_JOINTS):
        assert table[name]["position_mm"] == pytest.approx(float(off[:, i].mean()), rel=1e-4, abs=1e-3)
    angle = torch.rad2deg(geodesic_distance(decoded, wanted)).mean(0)
    assert table["left_knee"]["angle_deg"] == pytest.approx(float(angle[BODY_JOINTS.index("left_knee") - 1]), rel=1e-4)
    scores = results["scores"]["prior"]
    assert scores["mpjpe_mm"] == pytest.approx(np.mean([row["position_mm"] for row in table.values()]), rel=1e-6)
    assert 0 < scores["mpjpe_aligned_mm"] < scores["mpjpe_mm"]


def test_training_measures_the_same(results: dict) -> None:
    part = data(train=10, valid=0)
    part = type(part)(lambda rows: poses(COUNT)[torch.as_tensor(rows)], part.train, np.arange(COUNT))
    found = measure(prior().network, part, body_surface(body()))
    for name in (*COMPONENTS, "kl_nats", "active_units"):
        assert results["scores"]["prior"][name] == pytest.approx(found[name], rel=1e-5), name
    assert set(found) <= set(results["scores"]["prior"])
    # `measure` takes in all joints of the body
    assert results["scores"]["prior"]["spread"] == pytest.approx(found["spread"], rel=0.2)


def test_two_evaluations_are_equal_to_the_last_bit(results: dict) -> None:
    assert json.dumps(evaluate()) == json.dumps(results)


def test_blocks_and_order_change_only_rounding(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction_scores, "_BLOCK", 7)
    order = np.random.default_rng(0).permutation(COUNT)
    other = evaluate(poses=judged(order=order))
    for candidate in ("prior", "random", "pca", "mixture"):
        for name in (*COMPONENTS, *map(sampled, COMPONENTS), "kl_nats", "mpjpe_mm", "spread", "fid/joints22@40"):
            expected = results["scores"][candidate].get(name)
            if expected is not None:
                assert other["scores"][candidate][name] == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    assert other["shown_rows"]["worst"] == results["shown_rows"]["worst"]


def test_noise_belongs_to_the_row() -> None:
    rows = np.array([5, 2047, 1024, 5, 99])
    noise = noise_of(rows, 6, 0)
    assert torch.equal(noise[0], noise[3])
    assert torch.equal(noise[[2]], noise_of(rows[[2]], 6, 0))
    assert not torch.equal(noise, noise_of(rows, 6, 1))
    many = noise_of(np.arange(3000), 6, 0)
    assert float(many.mean()) == pytest.approx(0, abs=0.03) and float(many.std()) == pytest.approx(1, abs=0.03)


def test_every_candidate_has_every_score_that_it_can_have(results: dict) -> None:
    names = set(definitions(40, 40, 40, len(LEARNED)))
    scores = results["scores"]
    networks = {*map(sampled, COMPONENTS), "kl_nats", "kl_nats_per_dimension", "active_units"}
    assert set(scores["prior"]) == set(scores["random"]) == names
    assert set(scores["pca"]) == set(scores["mixture"]) == names - networks
    assert all(math.isfinite(value) for values in scores.values() for value in values.values())
    assert set(scores) == set(results["candidates"])
    # four directions and five components: nothing is lost
    assert scores["pca"]["geodesic_rad"] < 1e-3 < scores["prior"]["geodesic_rad"]
    assert scores["held-out poses"]["dnn_rad/mean-half-angle@40"] < scores["random"]["dnn_rad/mean-half-angle@40"]


def test_intervals_hold_the_mean_and_need_clips(results: dict) -> None:
    for name, (low, high) in results["intervals"]["prior"].items():
        assert low <= results["scores"]["prior"][name] <= high, name
    few = judged(40)
    assert evaluate(poses=few)["intervals"]["prior"] == {}


def test_what_is_shown_comes_from_different_clips(results: dict) -> None:
    for rows in results["shown_rows"].values():
        assert len(rows) == 6 and len({row // 10 for row in rows}) == 6


def test_a_collapsed_network_is_reported() -> None:
    network = random_network(hidden=24, latent=5)
    with torch.no_grad():
        network.encoder_net[8].mu.weight.zero_()
    flat = evaluate_prior(Prior(network, "flat", VPoser.kind), judged(), LEARNED, body(), samples=20)
    assert flat["scores"]["prior"]["active_units"] == 0
    assert any("collapse" in warning for warning in flat["warnings"])


@pytest.mark.parametrize("count", [1, 3])
def test_a_handful_of_poses_is_enough(count: int) -> None:
    found = evaluate(poses=judged(count))
    assert json.dumps(found, allow_nan=False)
    assert not any(name.startswith(("precision", "1nna")) for name in found["scores"]["prior"])
    assert found["poses"] == count and found["intervals"]["prior"] == {}


@pytest.mark.parametrize("what", ["measure on", "learn from"])
def test_no_poses(what: str) -> None:
    rows = np.arange(0) if what == "measure on" else np.arange(5)
    learned = LEARNED if what == "measure on" else LEARNED[:0]
    with pytest.raises(BadData, match=what):
        evaluate_prior(prior(), judged(order=rows), learned, body())


# ---- poses of a store -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    (folder / "takes").mkdir()
    for seed in range(4):
        save_motion(small_motion("smplh", frames=10 + seed, seed=seed), folder / "takes" / f"take{seed}_poses.npz")
    prepare([folder / "takes"], folder / "store", licence="CC0-1.0")
    keys = [clip.key for clip in open_store(folder / "store").clips]
    split = {"parts": {"train": keys[:2], "test": keys[2:3], "val": keys[3:]}}
    (folder / "split.json").write_text(json.dumps(split))
    return folder


def test_the_part_of_a_split(place: Path) -> None:
    store = open_store(place / "store")
    found, learned = poses_of_store(store, place / "split.json")
    assert len(found.rows) == store.clips[2].frames
    assert len(learned) == store.clips[0].frames + store.clips[1].frames
    assert set(found.clips) == {2}
    other, _ = poses_of_store(store, place / "split.json", "val", every=5)
    assert len(other.rows) == 3
    with pytest.raises(UsageError, match="no part 'tset'") as error:
        poses_of_store(store, place / "split.json", "tset")
    assert "test" in str(error.value)
    with pytest.raises(UsageError, match="needs a split"):
        poses_of_store(store, part="test")


def test_without_a_split_the_clips_that_training_holds_out(place: Path) -> None:
    store = open_store(place / "store")
    found, learned = poses_of_store(store)
    assert len(found.rows) + len(learned) == len(store)
    assert len(set(found.clips)) == 1
    everything, learned = poses_of_store(store, learned_from=store)
    assert len(everything.rows) == len(learned) == len(store)
    (place / "no_train.json").write_text(json.dumps({"parts": {"test": [store.clips[0].key]}}))
    with pytest.raises(UsageError, match="learn from"):
        poses_of_store(store, place / "no_train.json")
