import numpy as np
import pandas as pd
import pytest

from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import PixelArray
from autobalance.data.tables import Table
from autobalance.runs.rows import IMAGE, ROW, Rows

NUMBERS = np.arange(4)


def of_a_table():
    content = Table("small.csv", pd.DataFrame({"a": NUMBERS}), {})
    return content, ROW


def of_images():
    pixels = np.zeros((4, 1, 2, 2), dtype=np.uint8) + NUMBERS[:, None, None, None].astype(np.uint8)
    return ImageSet("small", PixelArray(pixels), as_objects(list("abcd"))), IMAGE


@pytest.mark.parametrize("make", [of_a_table, of_images])
@pytest.mark.parametrize("selection", [np.array([3, 1]), np.array([False, True, False, True])])
def test_a_selection_keeps_content_and_columns_together(make, selection):
    content, noun = make()
    columns = pd.Series(NUMBERS, name="y"), pd.DataFrame({"g": NUMBERS}), pd.Series(NUMBERS)
    chosen = Rows(content, *columns, noun).rows(selection)
    expected = NUMBERS[selection].tolist()
    assert (len(chosen), chosen.noun, chosen.source) == (2, noun, content.source)
    for column in (chosen.target, chosen.groups["g"], chosen.split):
        assert column.tolist() == expected
        assert column.index.tolist() == [0, 1]
    numbers = (
        chosen.content.frame["a"].tolist()
        if noun == ROW
        else [int(chosen.content.images[position][0, 0, 0]) for position in range(2)]
    )
    assert numbers == expected


def test_what_is_missing_stays_missing():
    content, _ = of_a_table()
    chosen = Rows(content, pd.Series(NUMBERS), None, None).rows(np.array([0]))
    assert chosen.groups is None
    assert chosen.split is None
