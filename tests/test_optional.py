import sys

import pytest

from autobalance.data.images.decoding import decode
from autobalance.data.images.folder import read_folder
from autobalance.data.images.parquet import has_image_column
from autobalance.errors import DataError
from autobalance.optional import need


def test_a_library_that_is_there():
    assert need("json.decoder", "cli", "reading").JSONDecoder


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [
        ("PIL.Image", lambda path: decode(b"", "x"), "vision"),
        ("pyarrow.parquet", lambda path: has_image_column(path / "a.parquet"), "cli"),
        ("pandas", read_folder, "cli"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch, tmp_path, module, call, extra
):
    (tmp_path / "metadata.csv").write_text("file_name,label\n")
    monkeypatch.setitem(sys.modules, module, None)
    name = module.partition(".")[0]
    with pytest.raises(DataError, match=rf'needs {name}, .*; pip install "autobalance\[{extra}\]"'):
        call(tmp_path)
