"""Wheel and source archive: what is in them, and that they run with what they declare, no more."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_bytes
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import autobalance

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Both, the wheel made from the source archive, with no download."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def metadata_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


@pytest.mark.slow
def test_the_wheel_holds_the_package_whole_and_nothing_else(archives):
    with zipfile.ZipFile(archives[0]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "src/autobalance"
    expected = {
        f"autobalance/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert "autobalance/py.typed" in names


@pytest.mark.slow
def test_the_version_is_that_of_the_package_everywhere(archives):
    metadata = metadata_of(archives[0])
    assert metadata["Version"] == autobalance.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.M)[1] == autobalance.__version__
    assert f"## [{autobalance.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_source_archive_has_tests_and_documentation(archives):
    with tarfile.open(archives[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/conftest.py", "docs/index.md"} <= names


def closure(requirement):
    """The distributions that a requirement draws in, as far as they are installed here."""
    todo, found = [(Requirement(requirement), "")], {}
    while todo:
        wanted, extra = todo.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        key = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if key in found and not wanted.extras:
            continue
        try:
            found[key] = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        for each in found[key].requires or []:
            todo += [(Requirement(each), extra) for extra in ("", *wanted.extras)]
    return found


@pytest.fixture
def clean(tmp_path, archives):
    """A new virtual environment with the wheel and exactly what it declares for some extras."""

    def made(extras):
        venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
        (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
        with zipfile.ZipFile(archives[0]) as archive:
            archive.extractall(site)
        for name, found in closure(f"autobalance{extras}").items():
            if name == "autobalance":
                continue
            for top in {path.parts[0] for path in found.files if path.parts[0] != ".."}:
                if not (site / top).exists() and top != "__pycache__":
                    (site / top).symlink_to(found.locate_file(top))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "OMP_NUM_THREADS")}
        return lambda *command: subprocess.run(
            [tmp_path / "venv/bin/python", *command],
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )

    return made


@pytest.mark.slow
def test_the_demo_runs_in_a_clean_environment_with_what_the_command_line_declares(clean, tmp_path):
    run = clean("[cli]")
    outcome = run("-m", "autobalance", "demo")
    assert outcome.returncode == 0, outcome.stderr
    report = Path(outcome.stdout.splitlines()[-1])
    assert report == Path("autobalance-demo", "report.html")
    assert "test examples" in (tmp_path / report).read_text("utf-8")
    where = run("-c", "import autobalance; print(autobalance.__file__)").stdout
    assert Path(where.strip()).is_relative_to(tmp_path)


@pytest.mark.slow
def test_the_library_alone_needs_no_more_than_it_declares(clean):
    outcome = clean("")(
        "-W",
        "error",
        "-c",
        "import sys, numpy as np\n"
        "from autobalance import AutoBalanceClassifier\n"
        "x = np.random.default_rng(0).normal(size=(80, 3)); y = (x[:, 0] > 1).astype(int)\n"
        "AutoBalanceClassifier('balanced', cv=3, verdict=None).fit(x, y).save('model')\n"
        "AutoBalanceClassifier.load('model').predict(x)\n"
        "print('pandas' in sys.modules or 'typer' in sys.modules)",
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == "False"
    told = clean("")("-m", "autobalance", "demo")
    assert told.returncode != 0
    assert "pip install 'autobalance[cli]'" in told.stderr


def test_every_dependency_has_its_licence_and_its_reason_in_the_docs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {Requirement(each).name for group in groups for each in group} - {"autobalance"}
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    reasons, licences = page.split("\n## Licences\n")
    listed = re.findall(r"`([A-Za-z0-9-]+)`", licences.split("|---|---|")[1])
    assert sorted(listed) == sorted(names)
    for name in names:
        assert f"`{name}`" in reasons, f"{name} has no line that says what it is for"
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    for name in names - {"timm", "torchvision"}:  # which belong to another build of PyTorch
        assert f"\n{name.lower()}==" in pinned, f"{name} is not pinned in constraints.txt"


KINDS = {
    "Apache-2.0": "apache",
    "BSD-2-Clause": "bsd",
    "BSD-3-Clause": "bsd",
    "MIT": "mit",
    "MIT-CMU": "mit-cmu",
    "MPL-2.0": "mpl",
    "PSF-based": "python software foundation",
}


def test_the_licences_listed_are_those_that_the_packages_state():
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").split("\n## Licences\n")[1]
    rows = re.findall(r"^\| ([A-Za-z0-9.-]+) \| (.*) \|$", page, re.M)
    assert rows.pop(0) == ("licence", "packages")
    assert len(rows) == len(KINDS)
    for licence, packages in rows:
        for name in re.findall(r"`([^`]+)`", packages):
            try:
                metadata = distribution(name).metadata
            except PackageNotFoundError:
                continue
            stated = [metadata.get("License-Expression") or "", metadata.get("License") or ""]
            stated += [each for each in metadata.get_all("Classifier") or [] if "License" in each]
            assert KINDS[licence] in " ".join(stated).lower(), (name, stated)
