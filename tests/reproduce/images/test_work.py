"""Which runs are wanted, how one is done, and that a finished one is not repeated."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.reproduce.images import work
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.rows import CROSS_ENTROPY, LOGIT_ADJUSTED, METHODS
from autobalance.reproduce.images.settings import CIFAR10_LT, FASHION_MNIST_LT, RECIPES
from autobalance.reproduce.images.work import (
    BY_KEY,
    KINDS,
    NAMES,
    Job,
    Rows,
    run_rows,
    scored,
)
from autobalance.reproduce.request import AUTHORS_CODE, PAPER, Request
from autobalance.reproduce.runs import Unit
from autobalance.reproduce.sealed import Sealed
from autobalance.runs.watch import Watch

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
SHARED = ("cross-entropy", "logit-adjusted-post-hoc", "bias-tuned")


@pytest.fixture
def trainings(monkeypatch):
    """Notes the seed of every training, with the number of images it is on."""
    done = []
    train = ImageLab.train

    def noted(self, loss, index=None, **options):
        done.append((self.seed, len(self.examples) if index is None else len(index)))
        return train(self, loss, index, **options)

    monkeypatch.setattr(ImageLab, "train", noted)
    return done


def rows(job, keys, tmp_path, seeds=1):
    return run_rows(job, keys, seeds, tmp_path / "out", 1, Watch())


def test_every_key_leads_to_its_method():
    assert list(BY_KEY) == list(NAMES) == list(KINDS)
    assert all(BY_KEY[key] is method for method in METHODS for key in method.names)


def test_a_score_is_the_mean_of_the_class_errors():
    y = np.repeat([0, 1, 2], [10, 4, 3])
    predicted = y.copy()
    predicted[[0, 1, 10, 14]] = [1, 2, 0, 0]
    test = Sealed("images", y, None, (3, 1))
    seen = []
    row = scored(test, lambda inputs: seen.append(inputs) or predicted)
    assert seen == ["images"]
    errors = [20.0, 25.0, 100 / 3]
    assert row["balanced"] == pytest.approx(np.mean(errors))
    assert row["class_errors"] == [20.0, 25.0, 33.33]
    assert row["told"] == "balanced error 26.11%"


def test_methods_that_share_their_trainings_are_run_once(job, tmp_path, trainings):
    found = rows(job, SHARED[1:], tmp_path)
    assert [row["method"] for row in found] == list(SHARED[1:])
    assert trainings == [(0, 222), (0, 177)]
    # and the row that was not asked for is kept as well
    assert rows(job, SHARED, tmp_path)[0]["method"] == CROSS_ENTROPY
    assert len(trainings) == 2


def test_what_is_finished_is_not_run_again(job, tmp_path, trainings):
    first = rows(job, [LOGIT_ADJUSTED], tmp_path)
    again = rows(job, [LOGIT_ADJUSTED, "balanced"], tmp_path, seeds=2)
    assert trainings == [(0, 222), (0, 222), (1, 222), (1, 222)]
    assert again[0] == first[0]
    found = [(row["method"], row["seed"]) for row in again]
    assert found == [(key, seed) for seed in (0, 1) for key in (LOGIT_ADJUSTED, "balanced")]


def test_runs_under_other_settings_do_not_count(job, tmp_path):
    longer = replace(job.recipe.retraining, epochs=4)
    others = [
        replace(job, recipe=replace(job.recipe, retraining=longer)),
        replace(job, recipe=replace(job.recipe, dictionary="log-prior")),
        replace(job, recipe=replace(job.recipe, model="resnet8")),
    ]
    folders = {each.kept(tmp_path).folder for each in (job, *others)}
    assert len(folders) == 4
    assert job.kept(tmp_path).folder == replace(job, preset=PAPER).kept(tmp_path).folder
    assert job.kept(tmp_path).folder.name.startswith("fashion-mnist-lt-")
    assert job.kept(tmp_path, "cost").folder.name.startswith("fashion-mnist-lt-cost-")


def test_the_mark_of_a_folder_is_the_same_in_every_process(job, tmp_path):
    """Solvers and the like are told by what they hold, not by where they lie in memory."""
    theirs = RECIPES[AUTHORS_CODE][CIFAR10_LT].course
    job = replace(job, recipe=replace(job.recipe, course=theirs))
    lines = [
        "import json, sys",
        "from dataclasses import asdict",
        "from autobalance.reproduce.images.settings import RECIPES",
        "from autobalance.training.origin import described",
        "course = RECIPES['authors-code']['cifar10-lt'].course",
        "print(json.dumps(asdict(course), default=described))",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = job.kept(tmp_path).settings["recipe"]["course"]
    assert ours == json.loads(other.stdout)
    assert "terms" in json.dumps(ours)


def test_a_row_is_the_method_scored_on_the_test_images(job):
    found = Rows(job)(Unit(SHARED, 1))
    fitted = BY_KEY[CROSS_ENTROPY].fit(job.lab(1))
    assert list(found) == list(SHARED)
    for key in SHARED:
        again = scored(job.data.test, fitted[key].predict)
        assert {name: found[key][name] for name in again} == again
        assert found[key]["trainings"] == fitted[key].facts["trainings"]
        assert found[key]["seconds"] > 0
        json.dumps(found[key], allow_nan=False)


def test_conditions_say_what_a_reader_has_to_know(job):
    assert job.conditions == {
        "Data": "Toy-LT, 222 training images of 3 classes",
        "Network": "strided-cnn",
        "Epochs": "3",
        "Preset": "paper",
    }
    longer = replace(job.recipe, searching=replace(job.recipe.searching, epochs=5))
    assert replace(job, recipe=longer).conditions["Epochs"] == "3, search 5"


def test_a_copy_that_is_not_the_original_is_a_deviation(job, monkeypatch):
    (own,) = job.deviations  # that the paper has no such data
    assert "Fashion-MNIST-LT and its settings" in own
    copy = replace(job.data, title="Toy-LT (JPEG)")
    monkeypatch.setattr(work, "_read", lambda *_: copy)
    assert job.deviations == (own, "the data are Toy-LT (JPEG) and not the original images")


def test_a_job_is_what_a_request_asks_for(tmp_path, watch):
    request = Request(
        tmp_path, tmp_path / "data", epochs=7, model="resnet8", device="cpu", preset=AUTHORS_CODE
    )
    job = Job.of(request, CIFAR10_LT, watch)
    assert (job.dataset, job.data_dir, job.device) == (CIFAR10_LT, tmp_path / "data", "cpu")
    assert (job.recipe.model, job.recipe.retraining.epochs) == ("resnet8", 7)
    assert job.preset == AUTHORS_CODE
    assert watch.said == []


def test_who_asks_for_days_on_a_cpu_is_told(tmp_path, watch):
    request = Request(tmp_path, tmp_path / "data", device="cpu")
    Job.of(request, FASHION_MNIST_LT, watch)
    assert watch.said == []
    Job.of(request, CIFAR10_LT, watch)
    (sentence,) = watch.said
    assert "resnet32 for 300 epochs takes days on a CPU" in sentence
    Job.of(replace(request, device="cuda"), CIFAR10_LT, watch)
    assert len(watch.said) == 1


def test_images_are_read_once(job):
    first = job.data
    assert job.data is first
    assert replace(job, dataset="other").data is first
    assert torch.equal(job.lab(0).examples.inputs, first.train.inputs)
    assert job.dataset == FASHION_MNIST_LT
