from dataclasses import replace

import pytest

from autobalance.costs import Costs
from autobalance.data.images.encoder import ImageEncoder
from autobalance.errors import DataError, DesignError, ObjectiveError
from autobalance.runs.columns import Columns
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import ImageReader
from autobalance.runs.request import FitRequest
from autobalance.training.augment import CropAndFlip

TABLE = FitRequest(Columns("y"))
IMAGES = FitRequest(ImageColumns(), model="small-cnn")
COLOUR, GREY = (3, 16, 24), (1, 16, 24)


def procedure(request, shape):
    reader = ImageReader(ImageColumns(), ImageEncoder(*shape))
    return request.procedure(request.parse_objective(), reader, None)


def test_a_linear_head_on_images_is_refused_with_what_to_do():
    with pytest.raises(DataError, match=r"--model, such as resnet20, .* autobalance embed"):
        FitRequest(ImageColumns())


@pytest.mark.parametrize(
    ("shape", "augmentation", "said"),
    [
        (COLOUR, CropAndFlip(2, flip=True), "crops by up to 2 pixels and flips"),
        (GREY, CropAndFlip(2, flip=False), "crops by up to 2 pixels"),
    ],
)
def test_images_are_augmented_as_is_usual_for_their_shape(shape, augmentation, said):
    assert procedure(IMAGES, shape).network.training.augment == augmentation
    assert IMAGES.settings(shape)["augmentation"] == said


def test_augmentation_is_left_out_on_request():
    request = replace(IMAGES, augment=False)
    assert procedure(request, COLOUR).network.training.augment is None
    assert request.settings(COLOUR)["augmentation"] == "none"


def test_a_policy_adds_what_it_searches_and_the_operations_for_the_channels():
    request = replace(IMAGES, augmentation="one", dictionary="class")
    asked = procedure(request, COLOUR)
    assert asked.parameters == ("emphasis", "probability", "magnitude")
    assert asked.dictionary == {"emphasis": "class", "probability": "one", "magnitude": "one"}
    assert ("saturation", "invert") in asked.sub_policies
    assert ("saturation", "invert") not in procedure(request, GREY).sub_policies
    own = replace(request, augmentation="personal", parameters=("weight", "magnitude", "ridge"))
    asked = procedure(own, GREY)
    assert asked.parameters == ("weight", "magnitude", "ridge")
    assert asked.dictionary == {"weight": "class", "magnitude": "auto"}
    assert procedure(IMAGES, COLOUR).sub_policies == ()
    assert own.settings(GREY)["augmentation"] == (
        "crops by up to 2 pixels, and a policy searched beside the loss (personal)"
    )


def test_balls_are_for_features():
    request = replace(TABLE, augmentation="ball")
    for given, expected in (
        ("auto", "auto"),
        (("weight",), ("weight", "magnitude")),
        (("magnitude",), ("magnitude",)),
    ):
        asked = procedure(replace(request, parameters=given), COLOUR)
        assert (asked.policy, asked.sub_policies, asked.parameters) == ("ball", (), expected)
    assert request.settings((5,))["augmentation"] == "balls, searched"
    with pytest.raises(DataError, match="a ball moves features, not images"):
        replace(IMAGES, augmentation="ball")


def test_features_are_not_augmented_unasked():
    assert "augmentation" not in replace(TABLE, model="mlp").settings((5,))
    assert "model" not in TABLE.settings((5,))


def test_a_row_has_a_name():
    assert (TABLE.noun, IMAGES.noun) == ("row", "image")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(Columns("y"), "balanced"), (ImageColumns("y", ("g",)), "group-balanced")],
)
def test_the_objective_follows_the_groups(columns, expected):
    assert str(FitRequest(columns, model="mlp").parse_objective()) == expected


def test_a_constraint_that_cannot_be_read_is_refused_with_the_objective():
    with pytest.raises(ObjectiveError):
        replace(TABLE, constraints=("nonsense<=0.3",)).parse_objective()


def test_a_start_is_a_preset_or_a_file():
    with pytest.raises(DesignError, match=r"neither a preset .* nor a design file"):
        procedure(replace(IMAGES, start="best"), COLOUR)


def test_costs_ask_for_cost_and_tell_requests_apart():
    costs = Costs(("a", "b"), ((0.0, 1.0), (5.0, 0.0)))
    request = replace(TABLE, costs=costs)
    objective = request.parse_objective()
    assert (str(objective), objective.costs) == ("cost", costs)
    assert repr(request) != repr(
        replace(request, costs=Costs(("a", "b"), ((0.0, 1.0), (6.0, 0.0))))
    )
