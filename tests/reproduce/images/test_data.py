"""Tails, copies that are not the originals, images that are decoded late, and damaged data sets."""

import io

import numpy as np
import pytest
import torch

from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import EncodedImages, ImageFiles, PixelArray
from autobalance.errors import DataError
from autobalance.reproduce.images.data import Decoded, codes_of, read_long_tailed, thinned
from autobalance.reproduce.images.settings import RECIPES, Source
from autobalance.reproduce.request import PAPER

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
TOY = Source("fashion-mnist", "Toy-LT", 200)
IMAGENET = Source("imagenet-lt", "ImageNet-LT", None, size=8)
INATURALIST = Source("inaturalist-2018", "iNaturalist 2018", None, "validation", 8)


def balanced(n_classes, each):
    """Images whose only pixels are their place, as two bytes, classes in turn."""
    place = np.arange(n_classes * each)
    values = np.stack([place // 256, place % 256], 1).astype(np.uint8)
    return ImageSet(
        "toy", PixelArray(values[:, None, None]), as_objects((place % n_classes).tolist())
    )


@pytest.mark.parametrize(
    ("dataset", "n_classes", "sizes", "total"),
    [
        ("cifar10-lt", 10, [5000, 2998, 1797, 1078, 646, 388, 233, 140, 84, 50], 12_414),
        ("fashion-mnist-lt", 10, None, 14_894),
        ("cifar100-lt", 100, None, 10_945),
    ],
)
def test_tails_are_of_the_published_sizes(dataset, n_classes, sizes, total):
    largest = RECIPES[PAPER][dataset].source.largest
    counts = np.bincount(codes_of(thinned(balanced(n_classes, largest), largest)))
    exact = largest * 100 ** (-np.arange(n_classes) / (n_classes - 1))
    assert (counts - exact >= -1e-9).all()
    assert (counts - exact < 1).all()
    assert counts.sum() == total
    assert sizes is None or counts.tolist() == sizes


def test_the_first_images_of_each_class_are_kept():
    kept = thinned(balanced(3, 200), 200)
    place = kept.images.values[:, 0, 0].astype(int) @ [256, 1]
    assert (place % 3 == codes_of(kept)).all()
    assert [place[place % 3 == k].max() // 3 + 1 for k in range(3)] == [200, 20, 2]
    assert (np.diff(place) > 0).all()


def test_codes_are_those_of_the_sorted_classes():
    images = ImageSet("toy", PixelArray(np.zeros((3, 1, 1, 1), np.uint8)), as_objects("cab"))
    assert codes_of(images).tolist() == [2, 0, 1]


def test_pixels_that_fit_into_memory_are_read_at_once(data_folder, write_idx):
    data = read_long_tailed(TOY, data_folder)
    assert data.title == "Toy-LT"
    assert np.bincount(data.train.targets).tolist() == [200, 20, 2]
    assert data.train.inputs.shape == (222, 1, 8, 8)
    assert data.train.inputs.dtype == torch.uint8
    shown = []
    codes = data.test.predictions(lambda test: shown.append(test) or test.targets.numpy())
    assert len(shown[0]) == len(codes) == 30
    assert data.test.errors(codes).tolist() == [[0.0], [0.0], [0.0]]
    assert data.test.errors(np.zeros(30, dtype=int)).tolist() == [[0.0], [1.0], [1.0]]


def test_files_are_decoded_when_they_are_asked_for(tmp_path, image):
    paths = [
        image(tmp_path / "a.png", (10, 20, 30), size=(12, 20)),
        image(tmp_path / "grey.png", 70, size=(4, 4)),
        tmp_path / "none.png",
    ]
    images = Decoded(ImageFiles(paths), 8)
    assert len(images) == 3
    for position, colours in ((0, [10, 20, 30]), (1, [70, 70, 70])):
        found = images[position]
        assert found.shape == (3, 8, 8)
        assert found.float().amax((1, 2)).tolist() == found.float().amin((1, 2)).tolist() == colours
    with pytest.raises(DataError, match=r"none\.png does not exist"):
        images[2]
    image(paths[2], (1, 2, 3))
    assert images[2][:, 0, 0].tolist() == [1, 2, 3]


def test_imagenet_lt_keeps_its_own_tail(imagenet_lt):
    data = read_long_tailed(IMAGENET, imagenet_lt)
    assert isinstance(data.train.inputs, Decoded)
    assert data.train.counts.per_class.tolist() == [5, 2, 2]
    assert data.train.batch(data.train.targets.new_tensor([0, 6])).inputs.shape == (2, 3, 8, 8)
    assert data.title == "ImageNet-LT"  # as which files it was published as JPEG
    seen = data.test.predictions(lambda test: [len(test), *test.inputs[2][:, 0, 0].tolist()])
    assert seen[0] == 3
    assert abs(seen[1:] - np.array([160, 2, 200])).max() < 8


def test_inaturalist_is_scored_on_its_validation_images(inaturalist):
    data = read_long_tailed(INATURALIST, inaturalist)
    assert data.train.counts.per_class.tolist() == [3, 1]
    assert data.test.errors(np.array([1, 0])).tolist() == [[0.0], [0.0]]


@pytest.fixture
def cifar10(tmp_path):
    """CIFAR-10 as shards of images in this format, of which the last may have another one."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pillow = pytest.importorskip("PIL.Image")

    def encoded(k, form):
        stream = io.BytesIO()
        pillow.new("RGB", (8, 8), (20 * k, 0, 0)).save(stream, form)
        return {"bytes": stream.getvalue(), "path": None}

    def write(*forms):
        folder = tmp_path / "data" / "cifar10"
        folder.mkdir(parents=True)
        names = [("test", forms[0], 0, 1)]
        names += [("train", form, place, len(forms)) for place, form in enumerate(forms)]
        for part, form, place, total in names:
            labels = [k for k in range(2) for _ in range(100)]
            table = {"img": [encoded(k, form) for k in labels], "label": labels}
            parquet.write_table(
                arrow.table(table), folder / f"{part}-{place:05d}-of-{total:05d}.parquet"
            )
        return folder.parent

    return write


@pytest.mark.parametrize(
    ("forms", "title"),
    [(("PNG",), "Two-LT"), (("JPEG",), "Two-LT (JPEG)"), (("PNG", "JPEG"), "Two-LT (JPEG)")],
)
def test_a_jpeg_copy_is_named(cifar10, forms, title):
    data = read_long_tailed(Source("cifar10", "Two-LT", 100), cifar10(*forms))
    assert data.title == title
    assert data.train.counts.per_class.tolist() == [100, 1]


def test_only_the_images_that_are_needed_are_decoded(cifar10, monkeypatch):
    decoded = []
    original = EncodedImages.__getitem__
    monkeypatch.setattr(
        EncodedImages, "__getitem__", lambda self, at: decoded.append(at) or original(self, at)
    )
    data = read_long_tailed(Source("cifar10", "Two-LT", 50), cifar10("PNG"))
    kept = len(data.train)
    assert kept == 51
    # and the 200 that are scored; the first image of each part is looked at for its size as well
    assert len(decoded) == kept + 200 + 2


def test_a_data_set_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"fashion-mnist is not in .*; download train-images"):
        read_long_tailed(TOY, tmp_path)


def test_a_data_set_that_is_half_there(data_folder):
    (data_folder / "fashion-mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"fashion-mnist has no t10k-labels-idx1-ubyte"):
        read_long_tailed(TOY, data_folder)


def test_a_file_that_is_cut_off(data_folder):
    path = data_folder / "fashion-mnist" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte holds .* download it again"):
        read_long_tailed(TOY, data_folder)


def test_images_of_imagenet_that_are_missing_or_damaged(imagenet_lt):
    folder = imagenet_lt / "imagenet-lt"
    (folder / "train/n1/6.JPEG").write_bytes(b"no image")
    data = read_long_tailed(IMAGENET, imagenet_lt)
    with pytest.raises(DataError, match=r"train/n1/6\.JPEG is not a readable image"):
        data.train.inputs[6]
    (folder / "test/n0/0.JPEG").unlink()
    with pytest.raises(DataError, match=r"0\.JPEG, the first image in ImageNet_LT_test\.txt"):
        read_long_tailed(IMAGENET, imagenet_lt)
    (folder / "ImageNet_LT_train.txt").unlink()
    with pytest.raises(DataError, match=r"has no ImageNet_LT_train\.txt"):
        read_long_tailed(IMAGENET, imagenet_lt)


def test_species_whose_file_is_damaged(inaturalist):
    path = inaturalist / "inaturalist-2018" / "val2018.json"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(DataError, match=r"cannot read .*val2018\.json"):
        read_long_tailed(INATURALIST, inaturalist)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_that_lacks_a_class(imagenet_lt, part):
    """Codes of its other classes would be those of others in the whole part."""
    path = imagenet_lt / "imagenet-lt" / f"ImageNet_LT_{part}.txt"
    lines = [line for line in path.read_text().splitlines() if not line.endswith(" 1")]
    path.write_text("\n".join(lines))
    with pytest.raises(
        DataError, match=r"imagenet-lt has images of class 1 in only one of train and test; dow"
    ):
        read_long_tailed(IMAGENET, imagenet_lt)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "total"), [("cifar10-lt", 12_414), ("fashion-mnist-lt", 14_894)]
)
def test_the_real_data(data_dir, dataset, total):
    data = read_long_tailed(RECIPES[PAPER][dataset].source, data_dir)
    assert len(data.train) == total
    assert data.train.counts.per_class.max() / data.train.counts.per_class.min() == 100
    assert len(data.test.predictions(lambda test: test.targets.numpy())) == 10_000
