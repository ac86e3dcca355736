"""What a program hands the library: data and settings of a classifier, batches of a loss."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from autobalance import AutoBalanceClassifier
from autobalance.errors import AutoBalanceError
from autobalance.losses import ParametricCrossEntropy
from tests.odd_inputs.kit import USED, refusal

N = 40
RNG = np.random.default_rng(0)
Y = np.arange(N) % 4 // 3
X = RNG.normal(size=(N, 3)) + Y[:, None]
PLACE = np.array(["land", "sea"])[RNG.integers(0, 2, N)]

ODD_X = (
    X[:, :0],
    X[:5],
    X[:0],
    X[:, 0],
    X[:, :, None],
    X * 1e300,
    X.astype(str),
    X.astype(object),
    np.where(X > 2, np.nan, X),
    np.where(X > 2, np.inf, X),
    0 * X,
    X + 1j,
    sparse.csr_array(X),
    X.tolist(),
    pd.DataFrame(X, columns=["a", "a", "b"]),
    pd.DataFrame({"a": X[:, 0], "b": "text"}),
    torch.from_numpy(X),
    X.astype(np.float16),
    None,
    "X",
    [[1, 2], [3]] * (N // 2),
)
ODD_Y = (
    Y[:5],
    0 * Y,
    X[:, 0],
    Y.astype(float),
    Y.astype(str),
    Y.astype(bool),
    Y.astype(object),
    np.where(Y, "é\n", ""),
    np.where(Y, np.nan, 0.0),
    np.where(Y, np.inf, 0.0),
    np.where(Y, None, 1),
    np.where(Y, "a", None),
    np.eye(N, dtype=int)[0],
    np.arange(N),
    np.stack([Y, Y], axis=1),
    Y[:, None],
    Y + 10**17,
    Y.astype("datetime64[D]"),
    Y.tolist(),
    pd.Series(Y, index=range(5, N + 5)),
    pd.Categorical.from_codes(Y, ["no", "yes"]),
    None,
    "y",
    7,
)
ODD_WEIGHTS = (
    *(
        0 * X[:, 0],
        -np.ones(N),
        np.ones(5),
        np.ones((N, 1)),
        np.where(Y, np.nan, 1),
        np.full(N, np.inf),
    ),
    *(
        np.full(N, 1e308),
        np.full(N, 1e-308),
        np.full(N, 1e-90),
        np.full(N, 1e90),
        1.0 - Y,
        ["1"] * N,
        ["a"] * N,
        "balanced",
        2.0,
        np.eye(N)[0],
    ),
)
ODD_GROUPS = (
    *(
        PLACE,
        PLACE[:5],
        PLACE[:, None],
        np.stack([PLACE, PLACE], 1),
        [None] * N,
        np.arange(N),
        X[:, 0],
    ),
    *(
        [float("inf")] * N,
        [["a"]] * N,
        [{"a": 1}] * N,
        [[1], [2, 3]] * (N // 2),
        "land",
        3,
        PLACE == "sea",
    ),
    *(
        pd.DataFrame({"p": PLACE, "q": Y}),
        [float("nan"), "x"] * (N // 2),
        [b"\xff"] * N,
        np.ones((N, 0)),
    ),
)
ODD_SETTINGS = {
    "objective": (
        "worst-class",
        "group-balanced",
        "equalized-odds",
        "nothing",
        "",
        "cost",
        None,
        3,
        "error+error",
    ),
    "parameters": (
        ("weight",),
        (),
        ("weight", "weight"),
        "weight",
        "nothing",
        3,
        None,
        ("ridge",),
        ("multiplicative",),
        ("magnitude",),
    ),
    "dictionary": (
        "class",
        "cell",
        "nothing",
        "cluster:0",
        "cluster:99",
        {"weight": "class"},
        {"x": "class"},
        3,
        None,
        {},
    ),
    "start": ("balanced", "nothing", "la", None, 3, "run.json"),
    "parametrisation": ("sigmoid", "log", None),
    "ridge": (0, -1, np.nan, np.inf, 1e300, None, "x", 1e-300),
    "cv": (
        3,
        0.3,
        0,
        1,
        -2,
        10**9,
        1.5,
        np.nan,
        "5",
        None,
        [],
        [(np.arange(20), np.arange(20, N))],
        [(np.arange(N), [])],
        [(0, 1)],
        [([0], [99])],
    ),
    "shrinkage": (0, -1, np.nan, "x", 1e300),
    "required_gain": (None, -1, np.nan, np.inf, "x"),
    "constraints": (("error<=0.5",), "error<=0.5", ("error",), ("cost<=1",), (3,), 5),
    "held_out_loss": ("error", "cross-entropy", "loss", None),
    "sharpness": (60, 0, -1, np.nan, "x", 1e300),
    "augmentation": ("balls", 3),
    "positive_class": (0, "yes", None, 99, [1]),
    "costs": (
        [[0, 1], [2, 0]],
        [[0, 1]],
        [[0, -1], [1, 0]],
        "x",
        np.full((2, 2), np.nan),
        [[0, 0], [0, 0]],
        pd.DataFrame([[0]]),
    ),
    "empty_cells": ("drop", "keep", None),
    "max_evaluations": (0, 1, -1, 1.5, "x", None),
    "tolerance": (0, -1, np.nan, "x", 1e300),
    "precision": ("double", "half", None),
    "model": ("nothing", "os:system", "resnet20", 3),
    "n_jobs": (0, "x"),
    "random_state": (-1, 2**40, "x", np.random.default_rng(0), np.random.RandomState(0)),
    "verdict": (0, 1, -1, 0.0, 1.0, "often", np.nan, 10**6),
}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_classifiers(tried):
    def case(rng):
        given = {"verdict": None, "cv": 2, "max_evaluations": 3, "random_state": 0}
        x, y, fitting = X, Y, {}
        for _ in range(rng.choice((1, 1, 2))):
            match rng.randrange(6):
                case 0:
                    x = rng.choice(ODD_X)
                case 1:
                    y = rng.choice(ODD_Y)
                case 2:
                    fitting["sample_weight"] = rng.choice(ODD_WEIGHTS)
                case 3:
                    fitting["sensitive_features"] = rng.choice(ODD_GROUPS)
                case _:
                    name = rng.choice(sorted(ODD_SETTINGS))
                    given[name] = rng.choice(ODD_SETTINGS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = AutoBalanceClassifier(**given).fit(x, y, **fitting)
            except AutoBalanceError as error:
                return refusal(error)
            except (TypeError, ValueError) as error:
                # scikit-learn's own checks of X, y and weights speak for themselves
                if not refused_by_sklearn(error):
                    raise
                return "refused by scikit-learn"
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.intercept_).all()
        assert np.isfinite(model.design_.weight).all()
        return USED

    tried("classifiers", case)


def refused_by_sklearn(error):
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
        if "/sklearn/" in trace.tb_frame.f_code.co_filename:
            return True
    return False


VALUES = ([1.0, 2.0, 3.0], [[1.0, 2.0]] * 3, np.ones((3, 2)), torch.ones(3), None)
ODD_VALUES = (
    *(
        [],
        [[]],
        [0.0, 1.0, 1.0],
        [-1.0, 1.0, 1.0],
        [np.nan] * 3,
        [np.inf] * 3,
        [1e300] * 3,
        [1e-300] * 3,
    ),
    *(
        np.ones((2, 3)),
        np.ones((3, 2, 1)),
        1.0,
        np.ones(2),
        torch.ones(3, dtype=torch.int64),
        ["a"] * 3,
    ),
    *("abc", [[1.0], [1.0, 2.0], [3.0]], {}, [None] * 3),
)
LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
ODD_LOGITS = (
    *(
        LOGITS[:0],
        LOGITS[:, :2],
        LOGITS[0],
        LOGITS.half(),
        LOGITS.long(),
        LOGITS.bool(),
        LOGITS[:, :, None],
    ),
    *(
        LOGITS * 1e30,
        torch.full((4, 3), -torch.inf),
        LOGITS.double(),
        LOGITS + 1j,
        torch.tensor(1.0),
    ),
)
TARGET = torch.tensor([0, 1, 2, 0])
ODD_TARGETS = (
    *(
        TARGET[:3],
        TARGET + 1,
        TARGET - 2,
        TARGET.float(),
        TARGET.bool(),
        TARGET[:, None],
        TARGET.int(),
    ),
    *(
        torch.full((4,), -100),
        LOGITS.softmax(1),
        LOGITS.softmax(1)[:, :2],
        TARGET.to(torch.uint8),
        TARGET + 0j,
    ),
    *(torch.tensor(0), TARGET * 2**40),
)
GROUP = torch.tensor([0, 1, 1, 0])
ODD_GROUP_CODES = (
    None,
    GROUP,
    GROUP + 1,
    GROUP - 1,
    GROUP.float(),
    GROUP[:2],
    GROUP[:, None],
    GROUP.bool(),
)
ODD_SAMPLE_WEIGHTS = (
    *(
        None,
        torch.ones(4),
        torch.ones(3),
        torch.ones(4, 3),
        torch.zeros(4),
        torch.ones(4).long(),
        torch.ones(4).half(),
    ),
)
ODD_OPTIONS = {
    "n_classes": (3, 2, 0, -1),
    "reduction": ("sum", "none", "median", None),
    "label_smoothing": (0.1, 1.0, -0.1, np.nan),
    "ignore_index": (0, 7, -1),
    "dtype": (torch.float64, torch.float16),
}


@pytest.mark.timeout(60)
def test_batches_of_a_loss(tried):
    def case(rng):
        def either(usual, odd):
            return rng.choice(odd) if rng.random() < 0.25 else rng.choice(usual)

        values = [either(VALUES, ODD_VALUES) for _ in range(3)]
        options = {
            name: rng.choice(odd) for name, odd in ODD_OPTIONS.items() if rng.random() < 0.15
        }
        try:
            loss = ParametricCrossEntropy(*values, **options)
            value = loss(
                either((LOGITS,), ODD_LOGITS),
                either((TARGET,), ODD_TARGETS),
                either((GROUP,), ODD_GROUP_CODES),
                either((None,), ODD_SAMPLE_WEIGHTS),
            )
        except AutoBalanceError as error:
            return refusal(error)
        assert not value.isnan().any()
        return USED

    tried("batches of a loss", case)
