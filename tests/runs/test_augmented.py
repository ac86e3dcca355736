"""Images before and after a policy, as a run folder holds them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.errors import ArtifactError
from autobalance.runs.augmented import read_augmented, show_augmented
from autobalance.runs.examples import Examples

SIZES = (20, 12, 9, 6, 3)


def examples_of(channels=3, height=6, width=12, sizes=SIZES):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    images = rng.integers(0, 256, (len(y), channels, height, width), dtype=np.uint8)
    images[:, 0] = 10 * y[:, None, None]  # tells the class
    return Examples(images, y, np.zeros_like(y))


def counts_of(sizes=SIZES):
    return Counts(np.array(sizes, dtype=float)[:, None], tuple(f"c{k}" for k in range(len(sizes))))


def policy_of(classes, probability=0.0, apart=False, chain=("invert",)):
    table = np.full((classes, 1, 1, len(chain)), probability)
    if apart:
        table += np.linspace(0, 0.1, classes)[:, None, None, None]
    return Policy((chain,), table, np.zeros_like(table))


def picture(data):
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    return np.asarray(image)


def test_cells_that_get_the_same_share_a_strip_of_images_from_all_of_them():
    shown = show_augmented(policy_of(5), counts_of(), examples_of())
    (strips,) = shown.strips
    assert (strips.cell, strips.images, strips.side) == ((0, 0), 8, (12, 6))
    before, after = picture(strips.before), picture(strips.after)
    assert before.shape == (6, 8 * 13 - 1, 4)
    assert after.shape == (2 * 7 - 1, 8 * 13 - 1, 4)
    np.testing.assert_array_equal(before[0, ::13, 0] // 10, [0, 0, 0, 1, 1, 2, 3, 4])
    assert set(before[0, 12::13, 3]) == {0}
    np.testing.assert_array_equal(after[:6], before)
    np.testing.assert_array_equal(after[7:], before)


def test_the_policy_is_applied_to_what_is_shown():
    (strips,) = show_augmented(policy_of(5, 1.0), counts_of(), examples_of()).strips
    before, after = picture(strips.before), picture(strips.after)
    opaque = before[..., 3] == 255
    np.testing.assert_array_equal(after[:6][opaque][:, :3], 255 - before[opaque][:, :3])


def test_of_many_cells_the_most_frequent_a_middle_and_the_rarest_are_shown():
    shown = show_augmented(policy_of(5, 0.2, apart=True), counts_of(), examples_of())
    assert [each.cell for each in shown.strips] == [(0, 0), (2, 0), (4, 0)]
    assert [each.images for each in shown.strips] == [8, 8, 3]
    few = SIZES[:4]
    shown = show_augmented(policy_of(4, 0.2, apart=True), counts_of(few), examples_of(sizes=few))
    assert [each.cell for each in shown.strips] == [(0, 0), (1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_images_and_those_with_more_channels_are_drawn(channels):
    (strips,) = show_augmented(policy_of(5), counts_of(), examples_of(channels)).strips
    drawn = picture(strips.before)
    assert (drawn[..., 0] == drawn[..., 1]).all() == (channels < 3)


def test_large_images_are_made_smaller():
    (strips,) = show_augmented(policy_of(5), counts_of(), examples_of(height=100, width=200)).strips
    assert strips.side == (96, 48)


def test_the_same_seed_draws_the_same_and_vectors_have_no_picture():
    policy = policy_of(5, 0.5)
    one, same, other = (show_augmented(policy, counts_of(), examples_of(), s) for s in (0, 0, 1))
    assert one.to_plain() == same.to_plain() != other.to_plain()
    vectors = Examples(np.zeros((50, 3)), examples_of().y, examples_of().g)
    assert show_augmented(Policy.ball([[0.1]] * 5), counts_of(), vectors).strips == ()


def test_the_file_reads_back_and_damage_is_named(tmp_path):
    assert read_augmented(tmp_path) is None
    shown = show_augmented(policy_of(5, 0.5), counts_of(), examples_of())
    shown.write(tmp_path)
    document = read_augmented(tmp_path)
    assert document == json.loads(json.dumps(shown.to_plain()))
    assert Policy.from_plain(document["policy"]) == shown.policy
    assert base64.b64decode(document["strips"][0]["before"]) == shown.strips[0].before
    path = tmp_path / "augmentation.json"
    for text in (b"\xff\x00", b"{}", json.dumps({**document, "version": 9}).encode()):
        path.write_bytes(text)
        with pytest.raises(ArtifactError, match=r"augmentation\.json"):
            read_augmented(tmp_path)
