"""Tasks at once: in this process, in others, and on a real Dask cluster of two workers."""

import json
import os
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import make_classification

from autobalance import AutoBalanceClassifier, SearchPlan, TrainingSettings, search_and_retrain
from autobalance.cli import main
from autobalance.errors import DataError, SearchError
from autobalance.jobs import each_finished, on_cluster, one_by_one
from autobalance.reproduce.runs import KeptRuns, Unit, finish, units_of
from autobalance.runs.watch import Watch


def whereabouts(number):
    """In which process, with how many threads of PyTorch."""
    return number, os.getpid(), torch.get_num_threads()


def drawn(number):
    """From the global random streams, as trainings draw, with pauses in which others might."""
    torch.manual_seed(number)
    values = []
    for _ in range(5):
        values.append(float(torch.rand(())))
        time.sleep(0.002)
    return values


def in_order(results):
    return [result for _, result in sorted(results)]


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_one_job_is_done_here_and_in_order(n_jobs):
    assert one_by_one(n_jobs)
    found = list(each_finished(whereabouts, [(3,), (2,)], n_jobs))
    assert [(position, result[:2]) for position, result in found] == [
        (0, (3, os.getpid())),
        (1, (2, os.getpid())),
    ]


def test_no_jobs_at_all_are_refused():
    with pytest.raises(DataError, match="0 jobs at once; use at least 1, or -1"):
        list(each_finished(whereabouts, [(1,)], 0))


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_whatever_joblib_sends_them_to_they_do_not_disturb_each_other(backend):
    """One backend hands results on as they come and the other cannot; threads share a process."""
    expected = [drawn(number) for number in range(5)]
    with parallel_config(backend=backend, n_jobs=2):
        assert not one_by_one(2)
        assert in_order(each_finished(drawn, [(number,) for number in range(5)], 2)) == expected
        assert in_order(each_finished(drawn, [(number,) for number in range(5)], None)) == expected


def test_a_worker_that_is_not_told_takes_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    with parallel_config(backend="threading"):
        list(each_finished(drawn, [(1,)], 2))
    assert asked == [1, 7]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with parallel_config(backend="threading"):
        list(each_finished(drawn, [(1,)], 2))
    assert asked == [1, 7, 7]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, address):
    monkeypatch.setattr("autobalance.jobs._TIMEOUT", "0.2s")
    named = pytest.raises(DataError, match=f"no Dask scheduler answers at {address}")
    with named, on_cluster(address, 1):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    named = pytest.raises(DataError, match=r'distributed.*pip install "autobalance\[dask\]"')
    with named, on_cluster("tcp://127.0.0.1:1", 1):
        pass


def test_without_a_cluster_the_jobs_are_those_asked_for():
    with on_cluster(None, 3) as jobs:
        assert jobs == 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=tmp_path_factory.mktemp("dask"),
    ) as cluster:
        yield cluster


@pytest.fixture
def dask(cluster):
    with Client(cluster) as client, parallel_config(backend="dask", client=client):
        yield client


@pytest.mark.slow
def test_workers_have_the_threads_that_dask_gives_them(dask):
    def place(number):  # here, so that it travels by value
        time.sleep(0.2)
        return os.getpid(), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]

    places = in_order(each_finished(place, [(number,) for number in range(6)], 2))
    assert len({pid for pid, *_ in places} - {os.getpid()}) == 2
    assert {(threads, told) for _, threads, told in places} == {(1, "1")}


@pytest.mark.slow
def test_a_verdict_on_a_cluster_is_that_of_one_process(dask):
    X, y = make_classification(160, weights=[0.75], n_features=4, random_state=0)
    options = {"verdict": 2, "cv": 2, "random_state": 0}
    alone = AutoBalanceClassifier("balanced", n_jobs=1, **options).fit(X, y)
    there = AutoBalanceClassifier("balanced", n_jobs=2, **options).fit(X, y)
    assert there.kept_ == alone.kept_
    assert there.verdict_ == alone.verdict_
    np.testing.assert_array_equal(there.designed_.additive, alone.designed_.additive)
    np.testing.assert_array_equal(there.decision_function(X), alone.decision_function(X))


@pytest.mark.slow
def test_networks_on_a_cluster_are_those_of_one_process(dask):
    def train(seed):
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(80) % 4 // 3
        data = (torch.randn(80, 3, generator=generator) + y[:, None], y)
        result = search_and_retrain(
            lambda: torch.nn.Linear(3, 2),
            data,
            "balanced",
            training=TrainingSettings(2, batch_size=8, learning_rate=0.05),
            plan=SearchPlan(warm_up=0.3, moves=2),
            device="cpu",
            seed=seed,
        )
        return result.design.weight.tolist(), result.model.weight.tolist()

    seeds = [(seed,) for seed in range(3)]
    alone = in_order(each_finished(train, seeds, 1))
    assert in_order(each_finished(train, seeds, 2)) == alone
    assert alone[0] != alone[1]


@pytest.mark.slow
def test_units_of_a_reproduction_go_on_after_an_interruption(dask, tmp_path):
    def work(unit):
        if unit == Unit(("b",), 1):
            time.sleep(1)
            raise SearchError("the weights are not finite; lower the learning rate")
        return {name: {"error": unit.seed + 0.5, "told": name} for name in unit.methods}

    def again(unit):
        return {name: {"error": -1.0, "told": name} for name in unit.methods}

    units = units_of([("a",), ("b",)], 2)
    kept = KeptRuns(tmp_path / "runs", "birds", {"epochs": 3})
    with pytest.raises(SearchError, match=r"^the weights are not finite; lower the learning rate$"):
        finish(units, kept, work, -1, Watch())
    assert [kept.has(name, seed) for seed in (0, 1) for name in "ab"] == [True, True, True, False]
    rows = finish(units, kept, again, -1, Watch())
    assert [row["error"] for row in rows] == [0.5, 0.5, 1.5, -1.0]


@pytest.mark.slow
def test_rows_of_a_machine_whose_disk_is_another_are_kept_here(dask, tmp_path):
    kept = KeptRuns(tmp_path / "runs", "birds", {"epochs": 3})
    folder = kept.folder

    def work(unit):
        return {name: {"error": 0.5, "told": name} for name in unit.methods}

    class Elsewhere(KeptRuns):
        def write(self, method, seed, row):
            if os.getpid() == here:
                super().write(method, seed, row)

    here = os.getpid()
    kept.__class__ = Elsewhere
    assert len(finish(units_of([("a",), ("b",)], 1), kept, work, 2, Watch())) == 2
    assert sorted(path.name for path in folder.glob("*seed*")) == ["a-seed0.json", "b-seed0.json"]


@pytest.mark.slow
def test_large_data_go_to_the_workers_once_and_quietly(dask):
    """Dask warns of arguments of more than 10 MB that travel with every task."""
    from autobalance.contest.procedure import TrainingData

    def rows_of(data, part):
        return len(data), float(data.features[part, 0])

    features = np.random.default_rng(0).normal(size=(40_000, 40))
    y = np.arange(len(features)) % 2
    data = TrainingData(features, y, np.zeros_like(y), np.ones(len(y)), ("a", "b"))
    found = in_order(each_finished(rows_of, [(data, part) for part in range(4)], 2))
    assert found == [(len(y), features[part, 0]) for part in range(4)]


@pytest.mark.slow
def test_the_command_line_on_a_cluster(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = make_classification(160, weights=[0.75], n_features=4, random_state=0)
    np.savetxt("table.csv", np.column_stack([X, y]), delimiter=",", header="a,b,c,d,y", comments="")
    table = ["table.csv", "--target", "y", "--verdict", "2", "--cv", "2", "--out", "out"]
    before = cluster.scheduler.transition_counter
    with pytest.raises(SystemExit) as stop:
        main(["fit", *table, "--cluster", cluster.scheduler_address])
    assert not stop.value.code
    assert cluster.scheduler.transition_counter > before
    assert json.loads((tmp_path / "out/metrics.json").read_text())["verdict"]["basis"]


def test_that_there_is_no_worker_yet_is_said(monkeypatch):
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty:
        waited = []
        monkeypatch.setattr(Client, "wait_for_workers", lambda _, number: waited.append(number))
        there = on_cluster(empty.scheduler_address, 1)
        with pytest.warns(UserWarning, match="waiting for the first worker of"), there:
            assert waited == [1]


def test_workers_with_threads_are_named_and_do_one_task_at_a_time():
    with (
        LocalCluster(1, processes=False, threads_per_worker=2, dashboard_address=":0") as threaded,
        ExitStack() as stack,
    ):
        there = on_cluster(threaded.scheduler_address, 1)
        with pytest.warns(UserWarning, match="several threads, which do one task at a time"):
            jobs = stack.enter_context(there)
        expected = [drawn(number) for number in range(4)]
        found = each_finished(drawn, [(number,) for number in range(4)], jobs)
        assert in_order(found) == expected
