import errno

import pytest

from autobalance.data.images.access import reading
from autobalance.errors import DataError


def test_what_the_system_keeps_back_is_one_clear_error(tmp_path):
    with (
        pytest.raises(DataError, match=r"^cannot read .* \(Permission denied\); check its perm"),
        reading(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    with pytest.raises(DataError, match=r"\(no text\); check"), reading(tmp_path):
        raise OSError("no text")


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), reading(tmp_path):
        raise KeyError("x")
