"""A library that is not installed is named, with the extra that installs it."""

import importlib
import sys

import pytest

from autobalance.integrations import MissingLibraryError


@pytest.mark.parametrize(
    ("extra", "library"),
    [("lightning", "lightning.pytorch"), ("huggingface", "transformers"), ("skorch", "skorch")],
)
def test_a_missing_library_is_named_with_its_extra(extra, library, monkeypatch):
    module = f"autobalance.integrations.{extra}"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingLibraryError, match=rf'pip install "autobalance\[{extra}\]"'):
        importlib.import_module(module)
