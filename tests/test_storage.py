"""Files that are whole or absent, and folders that are never taken from their owner."""

import json
import os
import stat
from pathlib import Path

import pytest

from autobalance.errors import ArtifactError, DesignError
from autobalance.storage import (
    folder_written_at_once,
    read_json,
    read_text,
    temporary_name,
    write_bytes_atomically,
    write_text_atomically,
)

MARKER = "metrics.json"


def write_ours(target, content):
    with folder_written_at_once(target, MARKER) as folder:
        (folder / MARKER).write_text(json.dumps({"format": "autobalance-metrics"}))
        (folder / "report.html").write_text(content)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_text_replaces_text(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "old")
    write_text_atomically(tmp_path / "a.txt", "new ä\n")
    assert tree(tmp_path) == {"a.txt": "new ä\n".encode()}


def test_text_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_text_atomically(tmp_path / "a.txt", "old")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ArtifactError, match=r"cannot write .*a.txt \(No space left on device\)"):
        write_text_atomically(tmp_path / "a.txt", "new")
    assert tree(tmp_path) == {"a.txt": b"old"}


def test_text_that_utf8_cannot_hold_leaves_the_old_file(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "old")
    with pytest.raises(ArtifactError, match=r"'\\ud800'\); replace that character in the labels"):
        write_text_atomically(tmp_path / "a.txt", "new \ud800")
    assert tree(tmp_path) == {"a.txt": b"old"}


def test_bytes_replace_bytes(tmp_path):
    write_bytes_atomically(tmp_path / "a.bin", b"old")
    write_bytes_atomically(tmp_path / "a.bin", b"new\r\n\x00\xff")
    assert tree(tmp_path) == {"a.bin": b"new\r\n\x00\xff"}


def test_the_folder_is_synced_after_the_rename(tmp_path, monkeypatch):
    steps = []
    sync, rename = os.fsync, os.replace

    def note_sync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_rename(source, destination):
        assert Path(source).name == temporary_name("a.bin", os.getpid())
        steps.append("rename")
        rename(source, destination)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    write_bytes_atomically(tmp_path / "a.bin", b"new")
    assert steps == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_synced_does_no_harm(tmp_path, monkeypatch):
    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_bytes_atomically(tmp_path / "a.bin", b"new")
    assert tree(tmp_path) == {"a.bin": b"new"}


@pytest.mark.parametrize("path", ["folder", "none/a.txt", "file/a.txt"])
def test_text_where_it_cannot_go(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ArtifactError, match="choose a folder with space and permission"):
        write_text_atomically(tmp_path / path, "new")
    assert tree(tmp_path) == before


def test_folder_appears_at_once(tmp_path):
    target = tmp_path / "deep" / "out"
    with folder_written_at_once(target, MARKER) as folder:
        (folder / "a").write_text("a")
        assert not target.exists()
    assert tree(tmp_path) == {"deep": None, "deep/out": None, "deep/out/a": b"a"}


def test_folder_has_the_usual_permissions(tmp_path):
    write_ours(tmp_path / "out", "new")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_our_own_folder_is_replaced_as_a_whole(tmp_path):
    write_ours(tmp_path / "out", "old")
    (tmp_path / "out" / "left-over").write_text("of the old run")
    write_ours(tmp_path / "out", "new")
    assert (tmp_path / "out" / "report.html").read_text() == "new"
    assert set(tree(tmp_path)) == {"out", "out/metrics.json", "out/report.html"}


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    write_ours(tmp_path / "out", "new")
    assert (tmp_path / "out" / "report.html").exists()


def test_a_link_is_followed(tmp_path):
    write_ours(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write_ours(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.html").read_text() == "new"


@pytest.mark.parametrize(
    "marker_text",
    [None, "", "{}", "[]", '{"format": "of-another-tool"}', '{"accuracy": 0.9}'],
    ids=["none", "empty", "object", "list", "another format", "another tool's metrics"],
)
def test_a_folder_that_is_not_ours_is_refused_before_any_work(tmp_path, marker_text):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.tex").write_text("years of work")
    if marker_text is not None:
        (target / MARKER).write_text(marker_text)
    before = tree(tmp_path)
    with pytest.raises(ArtifactError, match=r"no metrics\.json written by AutoBalance"):
        write_ours(target, "new")
    assert tree(tmp_path) == before


def test_files_that_arrive_while_we_work_are_kept(tmp_path):
    target = tmp_path / "out"

    def work():
        with folder_written_at_once(target, MARKER):
            target.mkdir()
            (target / "note").write_text("mine")

    with pytest.raises(ArtifactError, match="will not be replaced"):
        work()
    assert tree(tmp_path) == {"out": None, "out/note": b"mine"}


def test_a_plain_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ArtifactError, match="out is a file; name a folder that is new or empty"):
        write_ours(tmp_path / "out", "new")
    assert tree(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize("target", [".", "..", "/"])
def test_the_folder_one_is_in_is_refused(tmp_path, monkeypatch, target):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ArtifactError, match="is the folder you are in; name a new folder inside"):
        write_ours(Path(target), "new")
    assert tree(tmp_path) == {"here": None}


@pytest.mark.parametrize(
    "error", [RuntimeError("defect"), KeyboardInterrupt(), OSError(28, "full")]
)
def test_a_failing_block_changes_nothing(tmp_path, error):
    write_ours(tmp_path / "out", "old")
    before = tree(tmp_path)
    expected = ArtifactError if isinstance(error, OSError) else type(error)

    def work():
        with folder_written_at_once(tmp_path / "out", MARKER) as folder:
            (folder / "half").write_text("half")
            raise error

    with pytest.raises(expected):
        work()
    assert tree(tmp_path) == before


def test_our_own_errors_pass_unchanged(tmp_path):
    with (
        pytest.raises(ArtifactError, match=r"^of the block$"),
        folder_written_at_once(tmp_path / "out", MARKER),
    ):
        raise ArtifactError("of the block")


def test_a_failing_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_ours(tmp_path / "out", "old")
    before = tree(tmp_path)
    rename = os.replace

    def fail_for_the_new_one(source, destination):
        if Path(source).name == "new":
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "replace", fail_for_the_new_one)
    with pytest.raises(ArtifactError, match="Input/output error"):
        write_ours(tmp_path / "out", "new")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("target", ["file/out", "x" * 300])
def test_a_target_that_cannot_be_made(tmp_path, target):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="choose a folder with space and permission"):
        write_ours(tmp_path / target, "new")
    assert tree(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ArtifactError, match="Permission denied"):
            write_ours(tmp_path / "out", "new")
    finally:
        tmp_path.chmod(0o700)


def test_json_documents():
    text = '{"format": "autobalance-x", "version": 1, "a": [1]}'
    assert read_json(text, "x.json", "autobalance-x", 2, DesignError)["a"] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json is not valid JSON"),
        ('{"a": Infinity}', "Infinity is not a JSON number"),
        ("3", "x.json is not an autobalance-x file; check the path"),
        ('{"format": "autobalance-x"}', "x.json has no valid version number; restore the file"),
        ('{"format": "autobalance-x", "version": 3}', "reads up to 2; upgrade it"),
    ],
)
def test_damaged_documents(text, message):
    with pytest.raises(DesignError, match=message):
        read_json(text, "x.json", "autobalance-x", 2, DesignError)


def test_a_folder_is_no_file_to_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path(""), Path("."), tmp_path):
        with pytest.raises(ArtifactError, match="cannot write"):
            write_text_atomically(path, "text")
    assert not list(tmp_path.iterdir())


def test_a_link_that_leads_in_a_circle_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with (
        pytest.raises(ArtifactError, match="cannot write"),
        folder_written_at_once(tmp_path / "loop", MARKER) as folder,
    ):
        (folder / MARKER).write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


def test_a_text_is_read_or_its_remedy_is_told(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(DesignError, match=r"cannot read .*a\.json \(No such file.*\); look for it"):
        read_text(path, DesignError, "look for it")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DesignError, match=r"a\.json is not a text file; look for it"):
        read_text(path, DesignError, "look for it")
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_text(path, DesignError, "look for it") == "{}"
