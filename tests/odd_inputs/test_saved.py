"""Models, corrections and tables of costs whose files are damaged."""

import csv
import io
import json
import random
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch

from autobalance import AutoBalanceClassifier
from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.data.encoder import TableEncoder
from autobalance.data.images.encoder import ImageEncoder
from autobalance.data.tables import Table
from autobalance.errors import AutoBalanceError, ObjectiveError
from autobalance.model import JSON_FILE, WEIGHTS_FILE, LinearModel
from autobalance.models.factory import BUILT_IN
from autobalance.network_model import NetworkModel, front_of, with_front
from autobalance.objectives import Objective
from autobalance.posthoc import PosthocCorrection
from autobalance.runs.columns import Columns
from autobalance.runs.folder import SavedModel
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.readers import ImageReader, TableReader
from tests.odd_inputs.kit import USED, mutated_bytes, mutated_json, refusal

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"size": [1.0, None, 2.5, 0.0], "colour": ["red", "blue", "red", None], "n": [1, 2, 3, 4]}
)
TABLE = Table("rows.csv", FRAME, {})
CLASSES = ("no", None, 3)


def linear_model():
    encoder = TableEncoder.fit(TABLE)
    width = len(encoder.feature_names)
    model = LinearModel(CLASSES, RNG.normal(size=(3, width)), RNG.normal(size=3), 0.7)
    columns = Columns("kind", ("place",), None, ("id",))
    return SavedModel(model, TableReader(columns, encoder), Objective.parse("balanced"))


def network(name):
    torch.manual_seed(0)
    if name == "mlp":
        reader = TableReader(Columns("kind"), TableEncoder.fit(TABLE))
    else:
        reader = ImageReader(ImageColumns("kind"), ImageEncoder(1, 8, 8, True))
    module = with_front(BUILT_IN[name], front_of(reader.shape), reader.shape, 3).eval()
    model = NetworkModel(CLASSES, module, name, reader.shape, np.zeros(3))
    return SavedModel(model, reader, Objective.parse("0.5*error+worst-class"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The bytes of both files of each kind of model."""
    found = []
    for model in (linear_model(), network("mlp"), network("small-cnn")):
        folder = tmp_path_factory.mktemp("saved")
        model.write(folder)
        found.append([(folder / name).read_bytes() for name in (JSON_FILE, WEIGHTS_FILE)])
    return found


def odd_weights(rng, data):
    """The arrays with one renamed, dropped, reshaped, of another type or not finite; or bytes."""
    if rng.random() < 0.4:
        return mutated_bytes(rng, data)
    arrays = safetensors.numpy.load(data)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    match rng.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            arrays[rng.choice(("extra", "module.0.x", "bias"))] = arrays.pop(name)
        case 2:
            arrays[name] = array.reshape(-1)
        case 3:
            kinds = (np.int64, np.float16, np.bool_, np.float64, np.complex64, np.uint8)
            arrays[name] = array.astype(rng.choice(kinds))
        case 4:
            arrays[name] = np.where(array == array.flat[0], rng.choice((np.nan, np.inf)), array)
        case _:
            arrays[name] = np.concatenate([array, array])
    return safetensors.numpy.save({key: np.ascontiguousarray(arrays[key]) for key in arrays})


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:rows.csv has categories:UserWarning")
def test_models(tried, saved, tmp_path):
    def case(rng):
        document, weights = rng.choice(saved)
        if rng.random() < 0.6:
            document = mutated_json(rng, json.loads(document))
        else:
            weights = odd_weights(rng, weights)
        (tmp_path / JSON_FILE).write_bytes(document)
        (tmp_path / WEIGHTS_FILE).write_bytes(weights)
        try:
            found = SavedModel.read(tmp_path)
            n_classes = len(found.model.classes)
            if isinstance(found.reader, TableReader):
                features = found.reader.transform(TABLE)
            else:
                features = np.zeros((4, *found.reader.shape), np.uint8)
            with np.errstate(all="ignore"):
                logits = found.model.logits(features)
                assert logits.shape == (4, n_classes)
                assert not np.isnan(logits).any() or np.abs(features).max() > 1e30
                found.model.probabilities(features)
        except AutoBalanceError as error:
            return refusal(error)
        return USED

    tried("models", case)


@pytest.mark.timeout(60)
def test_folders_of_classifiers(tried, tmp_path):
    y = np.arange(40) % 4 // 3
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)) + y[:, None], columns=["a", "b"])
    model = AutoBalanceClassifier(cv=2, verdict=None, max_evaluations=2, random_state=0)
    model.fit(x, np.where(y, "yes", "no")).save(tmp_path / "saved")
    document = json.loads((tmp_path / "saved" / JSON_FILE).read_text("utf-8"))

    def case(rng):
        changed = deepcopy(document)
        if rng.random() < 0.7:
            changed["extra"] = json.loads(mutated_json(rng, document["extra"], damage=False))
            data = json.dumps(changed).encode()
        else:
            data = mutated_json(rng, document)
        (tmp_path / "saved" / JSON_FILE).write_bytes(data)
        try:
            found = AutoBalanceClassifier.load(tmp_path / "saved")
            names = getattr(found, "feature_names_in_", None)
            features = x.to_numpy() if names is None else x.set_axis(names, axis="columns")
            assert set(found.predict(features)) <= set(found.classes_)
        except AutoBalanceError as error:
            return refusal(error)
        return USED

    tried("classifiers' folders", case)


CORRECTIONS = [
    PosthocCorrection.for_prior(Counts(np.array([[90.0], [10.0]]), ("no", "yes"))),
    PosthocCorrection(
        Counts(np.array([[9.0, 4.0], [1.0, 0.0]]), (0, 1), (("f", 1), ("m", None))),
        np.array([[1.0, 0.5], [2.0, 1.0]]),
        np.array([[0.0, 0.5], [-2.0, 1.0]]),
        {"kind": "vector-scaling", "objective": "balanced"},
    ),
]


@pytest.mark.timeout(60)
def test_corrections(tried, tmp_path):
    documents = []
    for correction in CORRECTIONS:
        correction.save(tmp_path / "posthoc.json")
        documents.append(json.loads((tmp_path / "posthoc.json").read_text("utf-8")))

    def case(rng):
        (tmp_path / "posthoc.json").write_bytes(mutated_json(rng, rng.choice(documents)))
        try:
            found = PosthocCorrection.load(tmp_path / "posthoc.json")
            found.save(tmp_path / "again.json")
            again = PosthocCorrection.load(tmp_path / "again.json")
            groups = found.counts.groups and [found.counts.groups[0]] * 2
            with np.errstate(over="ignore"):
                logits = found.logits(np.zeros((2, found.counts.n_classes)), groups)
        except AutoBalanceError as error:
            return refusal(error)
        assert again.counts == found.counts
        np.testing.assert_array_equal(again.slope, found.slope)
        np.testing.assert_array_equal(again.bias, found.bias)
        moderate = max(np.abs(found.slope).max(), np.abs(found.bias).max()) < 1e100
        assert np.isfinite(logits).all() or not moderate
        return USED

    tried("corrections", case)


def table_of_costs(rng: random.Random) -> bytes:
    """A square of costs, some of whose cells are odd."""
    names = rng.sample(
        ("no", "yes", "maybe", "1", "", "é", "a,b", "new\nline", "no ", "missing"), 3
    )
    cells = [["", *names]] + [
        [name, *(str(rng.choice((0, 1, 2.5, 1e9))) for _ in names)] for name in names
    ]
    for _ in range(rng.choice((0, 0, 1, 2))):
        row = rng.choice(cells)
        odd = ("", "x", "nan", "inf", "-1", "1e999", "1_0", "١", "0x1", "\x00", "no", "9" * 400)
        match rng.randrange(4):
            case 0:
                row.pop(rng.randrange(len(row))) if row else None
            case 1:
                row.insert(rng.randrange(len(row) + 1), rng.choice(odd))
            case _ if row:
                row[rng.randrange(len(row))] = rng.choice(odd)
    if rng.random() < 0.2:
        cells.insert(rng.randrange(4), rng.choice(([], ["", "", ""], cells[0], cells[-1])))
    text = io.StringIO()
    csv.writer(text, delimiter=rng.choice(",,,,;\t")).writerows(cells)
    data = text.getvalue().encode()
    return mutated_bytes(rng, data) if rng.random() < 0.3 else data


@pytest.mark.timeout(60)
def test_tables_of_costs(tried, tmp_path):
    file = tmp_path / "costs.csv"

    def case(rng):
        file.write_bytes(table_of_costs(rng))
        try:
            costs = Costs.load(file)
            assert Costs.from_json(json.loads(json.dumps(costs.to_json()))) == costs
            bound = costs.bind(Counts(np.ones((len(costs.classes), 1)), costs.classes))
        except ObjectiveError as error:
            return refusal(error)
        assert np.isfinite(bound.stakes).all()
        assert ((bound.credits >= 0) & (bound.credits <= 1)).all()
        return USED

    tried("tables of costs", case)
