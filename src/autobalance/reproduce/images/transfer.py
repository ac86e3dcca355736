"""Transfer: a loss that was designed on one network or data set, retrained with on another.

Appendix B of the paper names such an experiment and prints no figures of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.data.images.named import NAMED
from autobalance.design import LossDesign
from autobalance.reproduce.fitted import Stopwatch
from autobalance.reproduce.images.rows import DEFAULT, HEADLINE, LOGIT_ADJUSTED
from autobalance.reproduce.images.settings import (
    CIFAR10_LT,
    CIFAR100_LT,
    FASHION_MNIST_LT,
    IMAGENET_LT,
    INATURALIST,
    recipe_for,
)
from autobalance.reproduce.images.tables import DATASETS
from autobalance.reproduce.images.work import NAMES, Job, run_rows, scored
from autobalance.reproduce.outcome import Line, Outcome, Table, mean_and_error, with_error
from autobalance.reproduce.request import PAPER, SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import KeptRuns, Row, Unit, by_method, finish, units_of
from autobalance.runs.watch import Watch

DESIGNS = (HEADLINE, DEFAULT)
"""The searches whose designs travel."""
OTHER_NETWORK: Mapping[str, str] = {
    FASHION_MNIST_LT: "small-cnn",
    CIFAR10_LT: "resnet20",
    CIFAR100_LT: "resnet20",
    IMAGENET_LT: "resnet18",
    INATURALIST: "resnet18",
}
OTHER_DATA: Mapping[str, str] = {
    FASHION_MNIST_LT: CIFAR10_LT,
    CIFAR10_LT: FASHION_MNIST_LT,
    CIFAR100_LT: CIFAR10_LT,
    IMAGENET_LT: CIFAR100_LT,
    INATURALIST: IMAGENET_LT,
}


def transported(design: LossDesign, counts: Counts) -> LossDesign:
    """The design for other classes: values by the rank of the frequency.

    Between ranks that both have, values are the same; otherwise they are interpolated over the
    share of the classes that are more frequent. Weights keep mean 1 over the new examples.

    Parameters
    ----------
    design
        For K classes without groups.
    counts
        Of the classes that it goes to, another K perhaps.
    """
    given, order = _by_frequency(design.counts), _by_frequency(counts)
    places = np.linspace(0, 1, len(given)), np.linspace(0, 1, len(order))

    def moved(table: Float[ndarray, "K G"]) -> Float[ndarray, "L 1"]:
        result = np.empty((len(order), 1))
        result[order, 0] = np.interp(places[1], places[0], table[given, 0])
        return result

    weight = moved(design.weight)
    return LossDesign(
        counts,
        weight / (counts.frequencies * weight).sum(),
        moved(design.additive),
        moved(design.multiplicative),
        design.ridge,
    )


@dataclass(frozen=True)
class Retrainings:
    """Trains with a design of finished runs, where it was not designed.

    Parameters
    ----------
    job
        Where it is retrained with.
    origin
        The counts that it was designed for.
    source
        The runs that designed it.
    """

    job: Job
    origin: Counts
    source: KeptRuns

    def __call__(self, unit: Unit) -> dict[str, Row]:
        """The row of a design."""
        (key,) = unit.methods
        found = self.source.read(key.removesuffix(_TRANSFERRED), unit.seed)["design"]
        weight, additive, multiplicative = (
            np.array(found[name])[:, None] for name in ("weight", "additive", "multiplicative")
        )
        design = LossDesign(self.origin, weight, additive, multiplicative)
        lab, watch = self.job.lab(unit.seed), Stopwatch()
        model = lab.train(transported(design, lab.counts))
        return {key: {**scored(self.job.data.test, lab.network(model)), "seconds": watch.seconds}}


_TRANSFERRED = "-transferred"


def run(request: Request, watch: Watch) -> Outcome:
    """Design on the data set, and retrain on another network and on other data."""
    dataset = request.dataset or DATASETS[0]
    source, seeds = Job.of(request, dataset, watch), request.seeds or 3
    run_rows(source, DESIGNS, seeds, request.out, request.jobs, watch)
    origin = source.data.train.counts
    targets = _targets(source, request)
    rows, tables = [], []
    for name, job in targets.items():
        watch.stage(name)
        own = run_rows(job, (LOGIT_ADJUSTED, *DESIGNS), seeds, request.out, request.jobs, watch)
        work = Retrainings(job, origin, source.kept(request.out))
        units = units_of([(f"{key}{_TRANSFERRED}",) for key in DESIGNS], seeds)
        kept = job.kept(request.out, f"from-{dataset}-{source.recipe.model}")
        moved = finish(units, kept, work, request.jobs, watch)
        rows += [{"target": name, **row} for row in (*own, *moved)]
        tables.append(_table(name, [*own, *moved]))
    copies = {text for job in targets.values() for text in job.copied} - set(source.copied)
    return Outcome(
        f"transfer_{dataset.replace('-', '_')}",
        f"Transfer: losses designed on {source.data.title}",
        {
            **source.conditions,
            "Designed with": source.recipe.model,
            "Seeds": str(seeds),
        },
        (*source.deviations, *sorted(copies)),
        tuple(tables),
        rows=rows,
    )


REPRODUCTION = Reproduction(
    "transfer",
    "designs retrained elsewhere",
    run,
    DATASETS,
    (SEEDS, *TRAINING_OPTIONS),
)


def _targets(source: Job, request: Request) -> dict[str, Job]:
    """Where designs go: another network, and other data with the same one if they are there."""
    network = OTHER_NETWORK[source.dataset]
    if network == source.recipe.model:  # which was asked for
        network = recipe_for(replace(request, model=None), source.dataset).model
    jobs = [replace(source, recipe=replace(source.recipe, model=network))]
    other = OTHER_DATA[source.dataset]
    # the authors' code need not know the other data
    recipe = recipe_for(replace(request, preset=PAPER), other)
    if (source.data_dir / NAMED[recipe.source.data].folder).is_dir():
        alike = replace(source.recipe, source=recipe.source, dictionary=recipe.dictionary)
        jobs.append(replace(source, dataset=other, recipe=alike))
    return {f"{job.data.title}, {job.recipe.model}": job for job in jobs}


def _table(name: str, rows: Sequence[Row]) -> Table:
    errors = {
        key: {seed: row["balanced"] for seed, row in runs.items()}
        for key, runs in by_method(rows).items()
    }
    plain = errors[LOGIT_ADJUSTED]
    lines = [Line((NAMES[LOGIT_ADJUSTED], with_error(*_mean(plain.values())), "", ""))]
    for key in DESIGNS:
        moved = errors[f"{key}{_TRANSFERRED}"]
        gaps = [moved[seed] - plain[seed] for seed in sorted(plain)]
        cells = with_error(*_mean(errors[key].values())), with_error(*_mean(moved.values()))
        lines.append(Line((NAMES[key], *cells, with_error(*_mean(gaps), sign="+"))))
    return Table(
        f"Retrained on {name}: balanced error on the test images, %",
        ("Loss", "Designed there", "Transferred", "Transferred minus LA"),
        tuple(lines),
        (
            "± is the standard error over the seeds; the difference is paired by seed. Values go "
            "to the class of the same frequency rank.",
        ),
    )


def _mean(values: Iterable[float]) -> tuple[float, float | None]:
    return mean_and_error(list(values))


def _by_frequency(counts: Counts) -> ndarray:
    return np.argsort(-counts.per_class, kind="stable")
