"""Texts that stand for something: objectives, limits, dictionaries, priors, models, trackers."""

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.dictionary import make_dictionary
from autobalance.errors import AutoBalanceError
from autobalance.models.factory import build_model
from autobalance.objectives import OBJECTIVES, Objective
from autobalance.runs.predict import parse_prior
from autobalance.search.constraints import Constraint
from autobalance.tracking.named import open_tracker
from tests.odd_inputs.kit import USED, refusal

COUNTS = Counts(np.array([[9.0, 4.0], [1.0, 0.0], [3.0, 3.0]]), ("a", "b,c", None), ("f", "m"))
PIECES = (
    *(*OBJECTIVES, "cost", "+", "*", "-", "<=", "<", "=", ",", ":", "(", ")", " ", "\n", "\x00"),
    *(
        "0",
        "0.5",
        "1e",
        "1e999",
        "1e-999",
        ".5",
        "5.",
        "nan",
        "inf",
        "0x1",
        "١",
        "9" * 400,
        "error<=0.3",
    ),
    *("a", "b,c", "missing", "train", "balanced", "a=1", "b,c=0.5", "missing=0", "é", "\ud800"),
    *("class", "cell", "cluster", "rank", "log-prior", "one", "cluster:2", "rank:3", "auto"),
    *(
        "mlp",
        "linear",
        "os:system",
        "json:loads",
        "..a:b",
        "a.:b",
        "math:pi",
        "csv:",
        "tensorboard:",
    ),
)


def text(rng):
    """Words of the language in any order, sometimes only letters away from right."""
    if rng.random() < 0.3:
        made = "+".join(
            f"{rng.choice((0.5, 1, 2e-3))}*{name}" for name in rng.sample(OBJECTIVES, 2)
        )
        made += rng.choice(("", "<=0.2", "<= 1"))
    elif rng.random() < 0.1:
        made = ",".join(f"{name}={rng.randrange(3)}" for name in ("a", "b,c", "missing"))
    else:
        made = "".join(rng.choice(PIECES) for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 3, 5))))
    if made and rng.random() < 0.2:
        at = rng.randrange(len(made))
        made = made[:at] + rng.choice(("", "x", "-", made[at].upper() * 2)) + made[at + 1 :]
    return made


def read_objective(said):
    objective = Objective.parse(said)
    assert Objective.parse(str(objective)) == objective
    bound = objective.bind(COUNTS, "drop")
    assert np.isfinite(bound.error(np.full((3, 2), 0.25), COUNTS.frequencies))


def read_constraint(said):
    constraint = Constraint.parse(said)
    assert Constraint.parse(str(constraint)) == constraint
    assert 0 <= constraint.limit < np.inf


def read_dictionary(said):
    matrix = make_dictionary(said, COUNTS)
    assert np.isfinite(matrix.matrix).all()


def read_prior(said):
    prior = parse_prior(said, COUNTS.classes)
    assert prior in ("train", "balanced") or len(prior) == COUNTS.n_classes


def read_model(said):
    assert build_model(said, (4,), 3) is not None


def read_tracker(said):
    if said.startswith(("csv:", "tensorboard:", "mlflow:")) and said[-1] != ":":
        said = f"x{said}"  # it would begin to write
    open_tracker(said)
    raise AssertionError(said)


READERS = (
    read_objective,
    read_objective,
    read_constraint,
    read_dictionary,
    read_prior,
    read_model,
    read_tracker,
)


@pytest.mark.timeout(60)
def test_expressions(tried, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def case(rng):
        try:
            rng.choice(READERS)(text(rng))
        except AutoBalanceError as error:
            return refusal(error)
        return USED

    tried("expressions", case)
    assert not list(tmp_path.iterdir())
