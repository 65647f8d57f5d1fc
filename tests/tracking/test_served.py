"""A registered version in `mlflow.pyfunc`: it loads offline, says what it takes, and gives the generator's faces."""

import shutil

import mlflow
import numpy as np
import pytest

from model import samples, timing
from tasks.core import files, paths
from tasks.features import audio
from tasks.inference.lip_sync import LipSync
from tasks.tracking.registry import CHAMPION, Registry, tags_of

CHAMPION_URI = f"models:/lipgan@{CHAMPION}"


@pytest.fixture
def champion(trained, empty_store, monkeypatch):
    shutil.copy(empty_store, trained / "mlflow.db")
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained / 'mlflow.db'}")
    outs = (paths.GENERATOR, paths.GENERATOR.with_suffix(".json"), paths.INDEX)
    known = Registry()
    version = known.register(
        tags_of({str(path): files.md5_file(path) for path in outs}, "p", "0" * 40), weights=paths.GENERATOR
    )
    known.promote(version, "first")
    return version


def test_the_champion_loads_with_a_signature_and_gives_the_generators_faces(champion):
    rng = np.random.default_rng(0)
    faces_TSS3 = rng.integers(0, 255, (7, 96, 96, 3), dtype=np.uint8)
    sound = rng.normal(0, 0.1, timing.num_samples(7)).astype(np.float32)
    windows = samples.windows(audio.mfcc(sound, 7), np.arange(7))
    direct = LipSync(paths.GENERATOR).generate(faces_TSS3[3], faces_TSS3, windows)
    model = mlflow.pyfunc.load_model(CHAMPION_URI)
    assert (model.predict({"faces": faces_TSS3, "sound": sound}) == direct).all()
    assert [each.name for each in model.metadata.signature.inputs] == ["faces", "sound"]
    assert model.predict(model.input_example).shape == (2, 96, 96, 3)
    with pytest.raises(ValueError, match=r"faces must be \(frames, 96, 96, 3\), got \(7, 48, 96, 3\)"):
        model.predict({"faces": faces_TSS3[:, :48], "sound": sound})


def test_it_loads_in_another_folder_where_neither_the_checkpoint_nor_dvc_is(champion, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "elsewhere"))
    model = mlflow.pyfunc.load_model(CHAMPION_URI)
    assert model.predict(model.input_example).shape == (2, 96, 96, 3)


def test_the_copy_of_a_retired_version_is_deleted(champion):
    Registry().retire(champion, "person")
    with pytest.raises(mlflow.MlflowException, match="this version is retired, its weights are deleted"):
        mlflow.pyfunc.load_model(f"models:/lipgan/{champion.number}")
