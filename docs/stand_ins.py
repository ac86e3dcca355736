"""Small stand-ins for what the pages take for given: files, networks, loaders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

SPLITS = ("train", "train", "train", "validation", "test")


def people(size: int = 600, seed: int = 0) -> pd.DataFrame:
    """A table of people: few earn more, and fewer in one of the two groups."""
    random = np.random.default_rng(seed)
    sex = random.choice(["Female", "Male"], size, p=[0.3, 0.7])
    age = random.integers(18, 80, size)
    hours = random.normal(40, 10, size).round()
    score = 0.05 * (age - 50) + 0.06 * (hours - 45) + np.where(sex == "Male", 0.3, -0.9)
    income = np.where(score + random.normal(0, 1, size) > 0.6, ">50K", "<=50K")
    occupation = random.choice(["Sales", "Tech-support", "Craft-repair"], size)
    return pd.DataFrame(
        {
            "age": age,
            "hours_per_week": hours,
            "occupation": occupation,
            "sex": sex,
            "income": income,
            "split": random.choice(SPLITS, size),
        }
    )


def write_adult() -> None:
    """The files that the README's commands name."""
    table = people()
    table.to_csv("adult.csv.gz", index=False)
    table.drop(columns="income").head(20).to_csv("new-people.csv", index=False)
    people(200, seed=1).drop(columns="split").to_csv("labelled.csv", index=False)


def write_embeddings(path: str = "embeddings.npz", size: int = 400) -> None:
    """Features of a network, with classes, places and a split."""
    random = np.random.default_rng(0)
    y = (random.random(size) < 0.3).astype(int)
    place = np.where(random.random(size) < 0.85, y, 1 - y)
    features = random.normal(size=(size, 8)).astype(np.float32)
    features[:, 0] += 1.5 * y
    features[:, 1] += 2.0 * place
    split = random.choice([0, 0, 0, 1, 2], size)
    np.savez(path, features=features, y=y, place=place, split=split)


def write_photos(folder: str = "photos", sizes: dict[str, int] | None = None) -> None:
    """Small pictures in a folder for each class."""
    from PIL import Image

    random = np.random.default_rng(0)
    for shade, (name, size) in enumerate((sizes or {"duck": 48, "gull": 24, "heron": 12}).items()):
        where = Path(folder) / name
        where.mkdir(parents=True)
        for number in range(size):
            pixels = random.integers(0, 120, (16, 16, 3)) + 60 * shade
            Image.fromarray(pixels.astype(np.uint8)).save(where / f"{number}.png")


def some_examples(size: int = 300, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of classes that get rarer."""
    random = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(classes)
    target = random.choice(classes, size, p=shares / shares.sum())
    inputs = random.normal(size=(size, 5)) + np.eye(classes, 5)[target] * 1.5
    return torch.from_numpy(inputs).float(), torch.from_numpy(target)


def some_images(size: int = 120, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Colour images as bytes, of three classes that get rarer."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.multinomial(torch.tensor([4.0, 2.0, 1.0]), size, True, generator=generator)
    images = torch.randint(0, 160, (size, 3, 8, 8), generator=generator)
    images[:, 0] += 40 * target[:, None, None]
    return images.to(torch.uint8), target


def make_model() -> nn.Module:
    """A network for :func:`some_examples`."""
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))


def loader_of(*tensors: Tensor) -> DataLoader[tuple[Tensor, ...]]:
    """Shuffled batches."""
    return DataLoader(TensorDataset(*tensors), 32, shuffle=True)


def small_images_model() -> nn.Module:
    """A network for :func:`some_images`, which are bytes."""
    return nn.Sequential(AsFloats(), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))


class AsFloats(nn.Module):
    """From bytes to numbers around 0."""

    def forward(self, images: Tensor) -> Tensor:
        """Shift and scale."""
        return images.float() / 128 - 1


def write_scores(path: str = "scores.csv", size: int = 300) -> None:
    """Probabilities of a model for rows that it was not trained on."""
    random = np.random.default_rng(0)
    rare = random.random(size) < 0.2
    score = 1 / (1 + np.exp(2 - 2.5 * rare - random.normal(size=size)))
    kind = np.where(rare, "rare", "common")
    columns = {"probability[common]": 1 - score, "probability[rare]": score, "kind": kind}
    pd.DataFrame(columns).to_csv(path, index=False)
