"""The data of the gallery: real ones from a folder, or small ones that are there or made."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from autobalance.data.images.named import read_named
from autobalance.data.images.sources import pixels
from autobalance.data.longtail import digits_long_tailed, long_tailed_indices

CLOTHES = "T-shirt trousers pullover dress coat sandal shirt sneaker bag boot"


class Images(NamedTuple):
    """Grey images (N, 1, H, W), with classes in order of frequency."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: np.ndarray
    names: list[str]
    title: str
    epochs: int


class Part(NamedTuple):
    """Features (N, D), classes and groups."""

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray


def cell_errors(part: Part, predicted: np.ndarray) -> dict[tuple[str, str], tuple[float, float]]:
    """Error of each class in each group, and its standard error."""
    cells = {}
    for y in np.unique(part.y):
        for group in np.unique(part.group):
            wrong = (predicted != part.y)[(part.y == y) & (part.group == group)]
            cells[y, group] = float(wrong.mean()), float(wrong.std() / len(wrong) ** 0.5)
    return cells


def images(data_dir: Path | None) -> Images:
    """Fashion-MNIST, thinned to 6,000 images of class 0 and 60 of class 9; or digits."""
    if data_dir is None:
        x, y, x_test, y_test = digits_long_tailed()
        x, x_test = x.reshape(-1, 1, 8, 8), x_test.reshape(-1, 1, 8, 8)
        names, title, epochs = [str(k) for k in range(10)], "scikit-learn's digits", 60
    else:
        whole = read_named("fashion-mnist", data_dir)
        train, test = whole.part("train"), whole.part("test")
        train = train.rows(long_tailed_indices(train.targets.astype(int), 100.0, n_max=6000))
        x, y = pixels(train.images), train.targets.astype(int)
        x_test, y_test = pixels(test.images), test.targets.astype(int)
        names, title, epochs = CLOTHES.split(), "Fashion-MNIST", 8
    mean, scale = x.mean(), x.std()
    x, x_test = (torch.from_numpy((each - mean) / scale).float() for each in (x, x_test))
    return Images(x, torch.from_numpy(y), x_test, y_test, names, title, epochs)


def people(data_dir: Path | None) -> tuple[Part, Part, str]:
    """UCI Adult, income by sex, with its own test split; or a table that is made."""
    if data_dir is None:
        random = np.random.default_rng(0)
        group = random.choice(["women", "men"], 6000, p=[0.35, 0.65])
        x = random.normal(size=(6000, 6))
        score = x[:, 0] + 0.7 * x[:, 1] + np.where(group == "men", 0.2, -0.8)
        x[:, 2] += group == "men"  # nobody tells the model the group, but a feature does
        y = np.where(score + random.normal(size=6000) > 1.0, "high", "low")
        train = np.arange(6000) < 3000
        test, title = ~train, "A table that is made"
    else:
        table = pd.read_csv(data_dir / "tables" / "adult.csv.gz")
        x = pd.get_dummies(table.drop(columns=["income", "split", "sex"])).to_numpy(np.float64)
        y = np.where(table["income"] == ">50K", "over 50K", "up to 50K")
        group = np.where(table["sex"] == "Male", "men", "women")
        train, test = ((table["split"] == each).to_numpy() for each in ("train", "test"))
        title = "UCI Adult"
    return Part(x[train], y[train], group[train]), Part(x[test], y[test], group[test]), title


def birds(data_dir: Path | None) -> tuple[Part, Part, str]:
    """Waterbirds as embeddings of an ImageNet network, official split; or made like them."""
    if data_dir is None:
        random = np.random.default_rng(0)
        y = random.choice(2, 6000, p=[0.75, 0.25])
        train = np.arange(6000) < 3000
        usual = np.where(train, 0.93, 0.5)  # how often a bird is where its kind lives
        place = np.where(random.random(6000) < usual, y, 1 - y)
        x = random.normal(size=(6000, 40))
        x[:, :3] += 0.9 * (2 * y - 1)[:, None]
        x[:, 3:6] += 1.2 * (2 * place - 1)[:, None]
        test, title = ~train, "Embeddings that are made"
    else:
        with np.load(data_dir / "waterbirds" / "features_efficientnet_lite0.npz") as file:
            x, y = file["features"].astype(np.float32), file["y"]
            place, split = file["place"], file["split"]
        train, test, title = split == 0, split == 2, "Waterbirds"
    kind = np.array(["landbird", "waterbird"])[y]
    where = np.array(["on land", "on water"])[place]
    return Part(x[train], kind[train], where[train]), Part(x[test], kind[test], where[test]), title
