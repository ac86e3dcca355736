import pytest

from autobalance.data.images.waterbirds import holds_waterbirds, read_waterbirds
from autobalance.errors import DataError

HEADER = "img_id,img_filename,y,split,place,place_filename\n"
ROWS = [
    "1,001.Albatross/a.jpg,1,0,1,/l/lake.jpg",
    "2,001.Albatross/b.jpg,1,1,0,/f/forest.jpg",
    "3,002.Crow/c.jpg,0,2,1,/l/lake.jpg",
]


def lay(folder, plant, rows=ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_text(HEADER + "\n".join(rows) + "\n")
    for number, row in enumerate(rows):
        plant(folder / row.split(",")[1], (number, 0, 0))


@pytest.mark.parametrize("inner", ["", "waterbird_complete95_forest2water2", "waterbirds_v1.0"])
def test_the_files_of_its_authors(tmp_path, plant, first_pixel, inner):
    assert not holds_waterbirds(tmp_path)
    lay(tmp_path / inner, plant)
    assert holds_waterbirds(tmp_path)
    images = read_waterbirds(tmp_path)
    assert images.targets.tolist() == ["waterbird", "waterbird", "landbird"]
    assert images.groups.tolist() == ["water", "land", "water"]
    assert images.split.tolist() == ["train", "validation", "test"]
    assert first_pixel(images.images) == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]


def test_parquet(tmp_path, png, parquet):
    parquet(tmp_path / "images.parquet", [png(), png()], y=[0, 1], place=[1, 0], split=[0, 2])
    assert holds_waterbirds(tmp_path)
    images = read_waterbirds(tmp_path)
    assert images.targets.tolist() == ["landbird", "waterbird"]
    assert images.groups.tolist() == ["water", "land"]
    assert images.split.tolist() == ["train", "test"]


@pytest.mark.parametrize(
    ("column", "row"), [("y", "1,a.jpg,2,0,1,x"), ("place", "1,a.jpg,1,0,5,x")]
)
def test_other_codes(tmp_path, plant, column, row):
    lay(tmp_path, plant, [row])
    with pytest.raises(DataError, match=rf"column '{column}' of .* holds '[25]' where Waterbirds"):
        read_waterbirds(tmp_path)


def test_missing_parts(tmp_path, plant):
    with pytest.raises(DataError, match="has no Parquet file"):
        read_waterbirds(tmp_path)
    lay(tmp_path, plant)
    (tmp_path / "001.Albatross" / "a.jpg").unlink()
    with pytest.raises(
        DataError, match=r"a\.jpg, the first image in metadata\.csv, does not exist"
    ):
        read_waterbirds(tmp_path)
    (tmp_path / "metadata.csv").write_text("img_filename,y,split\na.jpg,1,0\n")
    plant(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"metadata\.csv has no column 'place'"):
        read_waterbirds(tmp_path)
