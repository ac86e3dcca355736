"""The other tests skip where a library cannot be imported; where it is installed, it must be."""

import importlib
import importlib.util

import pytest


@pytest.mark.parametrize(
    ("library", "module"),
    [("lightning", "lightning"), ("skorch", "skorch"), ("transformers", "huggingface")],
)
def test_what_is_for_an_installed_library_can_be_imported(library, module):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if importlib.util.find_spec("torchvision") is not None:
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            pytest.skip("torchvision is of another PyTorch, which breaks what imports it")
    importlib.import_module(f"autobalance.integrations.{module}")
