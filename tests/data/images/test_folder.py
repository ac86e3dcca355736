import pytest

from autobalance.data.images.folder import holds_image_files, image_files, read_folder
from autobalance.errors import DataError


def test_a_folder_a_class(tmp_path, plant, first_pixel):
    plant(tmp_path / "dog" / "b.png", (3, 0, 0))
    plant(tmp_path / "cat" / "b.PNG", (2, 0, 0))
    plant(tmp_path / "cat" / "a.png", (1, 0, 0))
    plant(tmp_path / "cat" / "deep" / "er" / "c.jpg", (9, 9, 9), form="JPEG")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    images = read_folder(tmp_path)
    assert images.targets.tolist() == ["cat", "cat", "cat", "dog"]
    assert first_pixel(images.images)[:2] == [[2, 0, 0], [1, 0, 0]][::-1]
    assert (images.groups, images.split) == (None, None)


def test_parts(tmp_path, plant):
    for part in ("Train", "val", "test"):
        plant(tmp_path / part / "cat" / "a.png")
        plant(tmp_path / part / "dog" / "a.png")
    images = read_folder(tmp_path)
    assert sorted(set(images.split)) == ["test", "train", "validation"]
    assert images.part("validation").targets.tolist() == ["cat", "dog"]


def test_a_class_beside_folders_of_parts_makes_all_of_them_classes(tmp_path, plant):
    for name in ("train", "plane"):
        plant(tmp_path / name / "a.png")
    images = read_folder(tmp_path)
    assert images.targets.tolist() == ["plane", "train"]
    assert images.split is None


def test_what_programs_leave_behind_is_no_class(tmp_path, plant):
    for hidden in (".ipynb_checkpoints", "__MACOSX"):
        plant(tmp_path / hidden / "a.png")
        plant(tmp_path / "cat" / hidden / "a.png")
    plant(tmp_path / "cat" / "._a.png")
    plant(tmp_path / "cat" / "a.png")
    assert read_folder(tmp_path).targets.tolist() == ["cat"]


def test_metadata(tmp_path, plant, first_pixel):
    plant(tmp_path / "one" / "a.png", (1, 0, 0))
    plant(tmp_path / "b.png", (2, 0, 0))
    (tmp_path / "metadata.csv").write_text(
        "file_name,kind,place,split\nb.png,dog,water,train\none/a.png,cat,land,2\n"
    )
    images = read_folder(tmp_path, "kind", ["place"])
    assert first_pixel(images.images) == [[2, 0, 0], [1, 0, 0]]
    assert images.targets.tolist() == ["dog", "cat"]
    assert images.groups.tolist() == ["water", "land"]
    assert images.split.tolist() == ["train", "test"]


def test_metadata_of_each_part(tmp_path, plant):
    for part in ("train", "test"):
        plant(tmp_path / part / "a.png")
        (tmp_path / part / "metadata.csv").write_text("file_name,label,fold\na.png,cat,val\n")
    assert read_folder(tmp_path).split.tolist() == ["test", "train"]
    assert read_folder(tmp_path, split="fold").split.tolist() == ["validation", "validation"]


def test_the_metadata_of_waterbirds(tmp_path, plant):
    plant(tmp_path / "b.png")
    (tmp_path / "metadata.csv").write_text("img_id,img_filename,y,place,split\n1,b.png,1,0,2\n")
    images = read_folder(tmp_path, "y", ["place"], "split")
    assert (images.targets.tolist(), images.split.tolist()) == ([1], ["test"])
    assert images.images[0].shape[0] in (1, 3)


def test_metadata_that_names_no_file(tmp_path):
    (tmp_path / "metadata.csv").write_text("label\ncat\n")
    with pytest.raises(DataError, match=r"metadata\.csv has no column 'file_name'"):
        read_folder(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,cat\n,dog\n")
    with pytest.raises(DataError, match=r"'file_name' of .*metadata\.csv has an empty cell; fill"):
        read_folder(tmp_path)


def test_a_file_that_metadata_names_but_that_is_missing(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,cat\n")
    with pytest.raises(DataError, match=r"a\.png does not exist; restore the file"):
        read_folder(tmp_path).images[0]


@pytest.mark.parametrize(
    ("columns", "option"),
    [
        ({"target": "kind"}, "target"),
        ({"groups": ["kind"]}, "groups"),
        ({"split": "kind"}, "split"),
    ],
)
def test_columns_without_metadata(tmp_path, plant, columns, option):
    plant(tmp_path / "cat" / "a.png")
    with pytest.raises(
        DataError, match=rf"has no metadata\.csv with a column 'kind'; .*leave --{option} out"
    ):
        read_folder(tmp_path, **columns)


def test_no_images(tmp_path, plant):
    with pytest.raises(DataError, match="does not exist or is not a folder"):
        read_folder(tmp_path / "none")
    plant(tmp_path / "a.png")  # of which class?
    with pytest.raises(DataError, match="has no folders with images; put the images of each class"):
        read_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="has no folders with images"):
        read_folder(tmp_path)


def test_holds_image_files(tmp_path, plant):
    assert not holds_image_files(tmp_path)
    plant(tmp_path / "train" / "cat" / "deep" / "a.png")
    assert not holds_image_files(tmp_path)
    (tmp_path / "train" / "cat" / "a.txt").write_text("no image")
    assert not holds_image_files(tmp_path)
    plant(tmp_path / "train" / "cat" / "a.png")
    assert holds_image_files(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metadata.csv").write_text("file_name\n")
    assert holds_image_files(tmp_path / "other")


def test_files_come_in_the_order_of_their_names(tmp_path, plant):
    names = ["b.png", "a.png", "c/b.png", "c/a.png", "b/z.png"]
    for name in names:
        plant(tmp_path / name)
    found = [path.removeprefix(f"{tmp_path}/") for path in image_files(tmp_path)]
    assert found == ["a.png", "b.png", "b/z.png", "c/a.png", "c/b.png"]
