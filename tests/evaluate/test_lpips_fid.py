"""Published networks as plug-ins: shapes, known answers with small stand-in weights, and refusal without weights."""

import numpy as np
import pytest
import torch
from torch import nn

from model.metrics import picture
from model.metrics.syncnet import SyncNet
from tasks.core.errors import UserError
from tasks.evaluate import lpips_fid, published_syncnet

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of SyncNet in the form of the public file: a state dict."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    torch.save(SyncNet().state_dict(), path)
    return path


def test_syncnet_has_the_published_sizes():
    network = SyncNet().eval()
    with torch.inference_mode():
        faces = network.embed_faces(torch.zeros(2, 3, 5, 224, 224))
        sounds = network.embed_audio(torch.zeros(2, 1, 13, 20))
    assert faces.shape == sounds.shape == (2, 1024)
    assert network.netcnnaud[0].weight.shape == (64, 1, 3, 3) and network.netcnnlip[0].weight.shape == (96, 3, 5, 7, 7)
    assert network.netfcaud[3].weight.shape == network.netfclip[3].weight.shape == (1024, 512)


def test_syncnet_measures_a_clip(weights):
    faces = RNG.integers(0, 255, (8, 96, 96, 3), dtype=np.uint8)
    meter = published_syncnet.PublishedSyncNet(weights)
    distances = meter.distances(faces, RNG.normal(0, 0.1, 8 * 640).astype(np.float32), max_offset=2)
    assert distances.shape == (4, 5)
    assert np.isnan(distances[0, :2]).all() and np.isfinite(distances[:, 2]).all()
    figures = meter.measure(faces, np.zeros(8 * 640, np.float32))
    assert set(figures) == {"lse_d", "lse_c"} and np.isfinite(list(figures.values())).all()


def test_syncnets_sound_has_a_column_each_ten_milliseconds_and_its_energy_first():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(10 * 640) / 16000)
    tone[: 5 * 640] = 0
    columns = published_syncnet.mfcc(tone.astype(np.float32), 10)
    assert columns.shape == (13, 40)
    assert columns[0, 22:].min() > columns[0, :17].max() + 10  # log energy: silence, then a tone
    # the energy of one 25 ms window of the tone, by Parseval, to a tenth
    emphasised = np.append(tone[0], tone[1:] - 0.97 * tone[:-1])[30 * 160 : 30 * 160 + 400] * 32768
    spectrum = np.abs(np.fft.rfft(emphasised, 512)) ** 2 / 512
    assert columns[0, 30] == pytest.approx(np.log(spectrum.sum()), abs=1e-3)


def test_wrong_or_missing_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no such file; set evaluate\.weights\.syncnet"):
        published_syncnet.PublishedSyncNet(tmp_path / "none.model")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.model")
    with pytest.raises(UserError, match="not the weights of SyncNet"):
        published_syncnet.PublishedSyncNet(tmp_path / "other.model")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(UserError, match="not a TorchScript network"):
        lpips_fid.lpips(tmp_path / "text.pt")
    with pytest.raises(UserError, match=r"no such file; set evaluate\.weights\.inception"):
        lpips_fid.Fid(tmp_path / "none.pt")


class MeanColour(nn.Module):
    """A stand-in with the interface of the published files: features are the mean colour, in [0, 1]."""

    def forward(self, x: torch.Tensor, return_lpips: bool = False, return_features: bool = False) -> torch.Tensor:
        if not (return_lpips or return_features):
            raise RuntimeError("logits were asked for")
        return x.mean(dim=[2, 3]) / 255


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.pt"
    torch.jit.script(MeanColour()).save(str(path))
    return path


def test_lpips_is_the_squared_distance_of_features(network):
    black, grey = np.zeros((3, 16, 16, 3), np.uint8), np.full((3, 16, 16, 3), 51, np.uint8)
    distance = lpips_fid.lpips(network)
    assert distance(black, black) == 0
    assert distance(black, grey) == pytest.approx(3 * 0.2**2)


def test_fid_gathers_clips_and_has_the_frechet_distance_of_their_features(network):
    fid = lpips_fid.Fid(network, every=1)
    true, made = (RNG.integers(0, 200, (2, 6, 16, 16, 3), dtype=np.uint8) for _ in range(2))
    for clip in range(2):
        fid.add("real_video", true[clip])
        fid.add("right_audio", made[clip] + 20)
        fid.add("copy_input", true[clip] + 20)
    assert fid.of("real_video") == pytest.approx(0, abs=1e-9)
    assert fid.of("copy_input") == pytest.approx(3 * (20 / 255) ** 2, rel=1e-3)  # moved, and otherwise the same
    features = [(x.reshape(-1, 256, 3).mean(axis=1)) / 255 for x in (made + 20, true)]
    assert fid.of("right_audio") == pytest.approx(picture.frechet_distance(*features), rel=1e-3)
