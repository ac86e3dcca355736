import json

import pytest

from autobalance.data.images.inaturalist import holds_inaturalist, read_inaturalist
from autobalance.errors import DataError


def document(numbers, categories):
    return {
        "info": {"year": 2018},
        "images": [
            {"id": number, "file_name": f"train_val2018/{number}.jpg", "license": 3}
            for number in numbers
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": category}
            for number, category in reversed(list(zip(numbers, categories, strict=True)))
        ],
        "categories": [{"id": category, "name": "x"} for category in range(3)],
    }


@pytest.fixture
def inaturalist(tmp_path, plant):
    for name, numbers, categories in [("train", [5, 6], [0, 2]), ("val", [7], [1])]:
        (tmp_path / f"{name}2018.json").write_text(json.dumps(document(numbers, categories)))
        for number in numbers:
            plant(tmp_path / "train_val2018" / f"{number}.jpg", (number, 0, 0), form="PNG")
    return tmp_path


def change(folder, **parts):
    path = folder / "train2018.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


def test_both_files(inaturalist, first_pixel):
    assert holds_inaturalist(inaturalist)
    images = read_inaturalist(inaturalist)
    assert images.targets.tolist() == [2, 0, 1]
    assert images.split.tolist() == ["train", "train", "validation"]
    assert first_pixel(images.images) == [[6, 0, 0], [5, 0, 0], [7, 0, 0]]


def test_missing_files(inaturalist):
    assert not holds_inaturalist(inaturalist / "none")
    (inaturalist / "train_val2018" / "6.jpg").unlink()
    with pytest.raises(
        DataError, match=r"6\.jpg, the first image in train2018\.json, does not exist"
    ):
        read_inaturalist(inaturalist)
    (inaturalist / "train2018.json").unlink()
    assert holds_inaturalist(inaturalist)
    with pytest.raises(DataError, match=r"has no train2018\.json; put it there beside the images"):
        read_inaturalist(inaturalist)


@pytest.mark.parametrize("text", ["", "{", '{"images": [', "[" * 100_000, "\udcff"])
def test_torn_files(inaturalist, text):
    path = inaturalist / "train2018.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=r"cannot read .*train2018\.json \(.*download it again"):
        read_inaturalist(inaturalist)


@pytest.mark.parametrize(
    "parts",
    [
        {"images": None},
        {"images": [{"id": 5}]},
        {"images": [{"id": [5], "file_name": "a"}]},
        {"annotations": [1]},
        {"categories": {"id": 1}},
    ],
)
def test_documents_of_another_form(inaturalist, parts):
    change(inaturalist, **parts)
    with pytest.raises(DataError, match=r"train2018\.json has no lists of images, annotations"):
        read_inaturalist(inaturalist)


@pytest.mark.parametrize(("image", "category"), [(5, 3), (9, 0)])
def test_annotations_of_what_is_not_listed(inaturalist, image, category):
    change(inaturalist, annotations=[{"image_id": image, "category_id": category}] * 2)
    with pytest.raises(
        DataError, match=f"has an annotation of image {image} with category {category}, which"
    ):
        read_inaturalist(inaturalist)


@pytest.mark.parametrize("annotated", [[], [5], [5, 5], [5, 6, 6]])
def test_images_with_none_or_two_annotations(inaturalist, annotated):
    change(
        inaturalist, annotations=[{"image_id": number, "category_id": 0} for number in annotated]
    )
    with pytest.raises(DataError, match=r"lists 2 images and .*each image needs one"):
        read_inaturalist(inaturalist)
