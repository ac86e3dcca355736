"""The module that stands between the data and the network."""

import re

import numpy as np
import pytest
import torch

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.errors import DataError

Y, G = torch.tensor([0, 1, 2, 1, 0, 2]), torch.tensor([0, 1, 0, 0, 1, 1])
DTYPES = [torch.uint8, torch.float32, torch.float64]


def for_images(groups=2, **options):
    return PolicyAugmentation(Policy.uniform(3, groups, **{"probability": 0.9} | options))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_shape_and_range_stay(draw_inputs, dtype):
    images = draw_inputs(n=60, dtype=dtype)
    images[:10] = images[:10].double().round().to(dtype)
    before = images.clone()
    changed = for_images(strength=1.0)(images, Y.repeat(10), G.repeat(10), seeded())
    assert torch.equal(images, before)
    assert (changed.dtype, changed.shape) == (images.dtype, images.shape)
    assert (changed != images).flatten(1).any(1).float().mean() > 0.9
    assert changed.min() >= 0
    assert changed.max() <= (255 if dtype == torch.uint8 else 1 + 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vectors_move_within_the_ball_of_their_cell(draw_inputs, dtype):
    radius = torch.tensor([[0.5, 1.0], [0.1, 2.0], [0.0, 3.0]])
    augment = PolicyAugmentation(Policy.ball(radius.double().numpy()))
    vectors = draw_inputs(n=600, takes="vectors", dtype=dtype)
    y, g = Y.repeat(100), G.repeat(100)
    moved = augment(vectors, y, g, seeded())
    assert moved.dtype == dtype
    share = (moved - vectors).norm(dim=1) / radius[y, g].clamp_min(1e-12)
    assert share.max() <= 1 + 1e-5
    for k in range(2):
        assert share[(y == k)].max() > 0.9
    assert torch.equal(moved[(y == 2) & (g == 0)], vectors[(y == 2) & (g == 0)])


def test_bytes_are_rounded_to_the_nearest(draw_inputs):
    augment, images = for_images(), draw_inputs(dtype=torch.uint8)
    changed = augment(images, Y, G, seeded())
    parts = augment.draw(images, seeded())
    exact = augment.relaxed(images, Y, G, parts, augment.probability, augment.magnitude, 0.0)
    assert float((changed - exact).abs().max()) <= 0.5
    assert changed.is_contiguous()


def test_the_largest_byte_stays_so():
    policy = Policy.uniform(1, 1, [("brightness",)], probability=0.0)
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(PolicyAugmentation(policy)(images, torch.zeros(1).long()), images)


@pytest.mark.parametrize("target", [1, torch.tensor(1), np.int64(1)])
def test_a_single_example_is_a_batch_of_one(draw_inputs, target):
    augment, images = for_images(), draw_inputs(n=1)
    single = augment(images[0], target, 1, seeded(3))
    expected = augment(images, torch.tensor([1]), torch.tensor([1]), seeded(3))
    assert single.shape == images.shape[1:]
    assert torch.equal(single, expected[0])


def test_targets_may_be_a_list_or_an_array(draw_inputs):
    augment, images = for_images(), draw_inputs()
    expected = augment(images, Y, G, seeded())
    assert torch.equal(augment(images, Y.tolist(), G.numpy(), seeded()), expected)
    assert torch.equal(augment(images, Y.int(), G.to(torch.uint8), seeded()), expected)


def test_groups_may_be_left_out_where_there_is_one(draw_inputs):
    augment, images = for_images(groups=1), draw_inputs()
    expected = augment(images, Y, torch.zeros_like(Y), seeded())
    assert torch.equal(augment(images, Y, generator=seeded()), expected)


def test_a_generator_gives_the_same_again_and_the_global_stream_is_not_touched(draw_inputs):
    augment, images = for_images(), draw_inputs()
    stream = torch.get_rng_state()
    first, again = (augment(images, Y, G, seeded(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, augment(images, Y, G, seeded(2)))
    assert torch.equal(torch.get_rng_state(), stream)


def test_without_a_generator_it_draws_from_the_global_stream(draw_inputs):
    augment, images = for_images(), draw_inputs()
    results = []
    for _ in range(2):
        with torch.random.fork_rng([]):
            torch.manual_seed(4)
            results += [augment(images, Y, G), augment(images, Y, G)]
    assert torch.equal(results[0], results[2])
    assert torch.equal(results[1], results[3])
    assert not torch.equal(results[0], results[1])


def test_what_is_drawn_for_an_example_does_not_depend_on_its_class(draw_inputs):
    augment, images = for_images(groups=1), draw_inputs()
    others = torch.tensor([1, 1, 0, 2, 0, 1])
    same = augment(images, others, generator=seeded())
    assert torch.equal(augment(images, Y, generator=seeded()), same)  # all cells are alike


def test_values_are_buffers_that_are_saved_and_may_be_overwritten(draw_inputs):
    augment, images = for_images(), draw_inputs()
    assert sorted(augment.state_dict()) == ["magnitude", "probability"]
    assert not list(augment.parameters())
    augment.probability.zero_()
    assert torch.equal(augment(images, Y, G, seeded()), images)
    again = for_images()
    again.load_state_dict(augment.state_dict())
    assert torch.equal(again(images, Y, G, seeded()), images)


def test_no_gradient_is_kept(draw_inputs):
    images = draw_inputs().requires_grad_()
    assert not for_images()(images, Y, G, seeded()).requires_grad


def test_it_prints_what_it_is_for():
    augment = PolicyAugmentation(Policy.uniform(3, 2, [("rotate", "invert"), ("shear-x",) * 2]))
    assert repr(augment) == (
        "PolicyAugmentation(n_classes=3, n_groups=2, rotate → invert; shear-x → shear-x)"
    )


IMAGES = torch.full((6, 3, 8, 8), 0.5)
VECTORS = torch.zeros(6, 4)
REFUSED = {
    "no tensor": ((IMAGES.numpy(), Y, G), "the inputs are ndarray; a policy takes a tensor of"),
    "no tensor, single": (([0.5], 1, 0), "the inputs are list; a policy takes a tensor of bytes"),
    "half precision": ((IMAGES.half(), Y, G), "the inputs are torch.float16; a policy takes"),
    "whole numbers": ((IMAGES.long(), Y, G), "the inputs are torch.int64; a policy takes"),
    "soft targets": ((IMAGES, Y.float(), G), "the targets are torch.float32 of shape (6,)"),
    "other targets": (
        (IMAGES, Y[:5], G),
        "the targets are torch.int64 of shape (5,) for inputs of shape (6, 3, 8, 8); give one "
        "class code for each example",
    ),
    "another class": ((IMAGES, Y + 1, G), "the class codes go from 1 to 3, and the policy is for"),
    "a negative class": ((IMAGES, Y - 1, G), "codes go from -1 to 1, and the policy is for 0 to 2"),
    "no groups": (
        (IMAGES, Y),
        "the policy has 2 groups and the examples have none; give their codes as groups",
    ),
    "no group, single": ((IMAGES[0], 1), "the policy has 2 groups and the examples have none"),
    "other groups": (
        (IMAGES, Y, G[:5]),
        "the groups are torch.int64 of shape (5,) for inputs of shape (6, 3, 8, 8); give one group "
        "code for each example",
    ),
    "another group": ((IMAGES, Y, G + 1), "the group codes go from 1 to 2, and the policy is for"),
    "vectors": ((VECTORS, Y, G), "rotate changes images, and the inputs have shape (6, 4); give"),
    "a vector": ((VECTORS[0], 1, 0), "rotate changes images, and the inputs have shape (1, 4)"),
    "grey images": ((IMAGES[:, :1], Y, G), "saturation needs images of 3 channels, and these have"),
    "tiny images": ((IMAGES[..., :2], Y, G), "sharpness needs images of at least 3 × 3 pixels"),
}


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("case", REFUSED)
def test_what_it_does_not_take_is_named(case):
    arguments, message = REFUSED[case]
    with pytest.raises(DataError, match=re.escape(message)):
        for_images()(*arguments)


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize("images", [IMAGES, IMAGES.mul(255).byte()])
def test_a_ball_does_not_take_images(images):
    augment = PolicyAugmentation(Policy.ball([[0.5], [0.5], [0.5]]))
    message = "ball changes vectors, and the inputs have shape (6, 3, 8, 8); give a tensor of shape"
    for call in (lambda: augment(images, Y), lambda: augment.draw(images)):
        with pytest.raises(DataError, match=re.escape(message)):
            call()
