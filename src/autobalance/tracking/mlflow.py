"""The course of a run in MLflow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from autobalance.errors import DataError
from autobalance.optional import need

EXPERIMENT = "autobalance"
_MOST_AT_ONCE = 500
"""Figures of one call; MLflow takes 1000, and 100 settings."""
_MOST_SETTINGS = 100
_LONGEST = 500
_SEPARATORS = str.maketrans({"[": ".", "|": ".", "]": None})
_NOT_TAKEN = re.compile(r"[^\w\-. ]")


class MLflowTracker:
    """Logs one run: settings as parameters, figures as metrics ``series/name``, files as artifacts.

    MLflow's own reports on how it is used are switched off, unless ``MLFLOW_DISABLE_TELEMETRY`` is
    set to something else or MLflow was imported before.

    Parameters
    ----------
    uri
        Of the tracking server or store, such as ``http://localhost:5000``, ``sqlite:///mlflow.db``
        or a folder; see MLflow for what each needs to be installed or allowed.
    name
        Of the run; by default MLflow makes one up.
    resume
        Go on with the newest unfinished run of that name, if there is one.
    experiment
        Made as needed.

    Raises
    ------
    DataError
        If MLflow is not installed, or cannot use the store.

    Attributes
    ----------
    run_id
        MLflow's name of the run.
    """

    def __init__(
        self,
        uri: str,
        name: str | None = None,
        resume: bool = False,
        experiment: str = EXPERIMENT,
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        need("mlflow", "tracking", "tracking in MLflow")
        from mlflow import MlflowClient

        try:
            self._client = MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(experiment)
            self._experiment = (
                self._client.create_experiment(experiment) if found is None else found.experiment_id
            )
            unfinished = self._unfinished(name) if resume and name is not None else None
            self.run_id: str = unfinished or self._new(name)
        except Exception as error:  # of many kinds, by the store
            sentence = " ".join(str(error).split())
            raise DataError(f"MLflow cannot track in {uri!r}: {sentence}") from error

    def scalars(self, series: str, step: int, values: Mapping[str, float]) -> None:
        """Log them with the time of now."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(f"{series}/{_accepted(name)}", value, now, step)
            for name, value in values.items()
        ]
        for first in range(0, len(metrics), _MOST_AT_ONCE):
            self._client.log_batch(self.run_id, metrics=metrics[first : first + _MOST_AT_ONCE])

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log them; a long text is cut."""
        from mlflow.entities import Param

        known = self._client.get_run(self.run_id).data.params
        texts = {_accepted(name): str(value)[:_LONGEST] for name, value in values.items()}
        new = [Param(name, text) for name, text in texts.items() if name not in known]
        for first in range(0, len(new), _MOST_SETTINGS):
            self._client.log_batch(self.run_id, params=new[first : first + _MOST_SETTINGS])

    def artifact(self, path: Path) -> None:
        """Copy a file to where the run keeps its own."""
        self._client.log_artifact(self.run_id, str(path))

    def close(self, finished: bool = True) -> None:
        """End the run, as ``FINISHED`` or ``KILLED``."""
        self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")

    def _new(self, name: str | None) -> str:
        return str(self._client.create_run(self._experiment, run_name=name).info.run_id)

    def _unfinished(self, name: str) -> str | None:
        """The newest unfinished run of a name, from now on running again."""
        runs = self._client.search_runs(
            [self._experiment],
            "attributes.status != 'FINISHED'",
            order_by=["attributes.start_time DESC"],
        )
        for run in runs:
            if run.info.run_name == name:
                self._client.update_run(run.info.run_id, "RUNNING")
                return str(run.info.run_id)
        return None


def _accepted(name: str) -> str:
    """A name as MLflow takes it: ``risk[cat|land]`` is ``risk.cat.land``."""
    return _NOT_TAKEN.sub(lambda found: f"_{ord(found[0]):x}_", name.translate(_SEPARATORS))
