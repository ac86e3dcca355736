"""How fast networks on images are trained, beside a loop written by hand, which is the floor.

    python -m benchmarks.training_speed --json results/training_speed.json

Synthetic colour images of 32 × 32 in bytes, in memory on the device, in batches of 128. The bare
loop is PyTorch and no more: the same network in channels-last format, plain cross-entropy, a fused
SGD, and nothing that waits for the device. ``AutoBalance`` is the library's training with its own
loss and every setting as it comes; the other rows change one thing. Every repeat runs all methods
in turn, an epoch to warm up and an epoch that counts; ``ratio`` is images a second relative to the
bare loop's in the same repeat. A step of the loss, which a search takes now and then, is told in
training steps; ``search`` in the summary is what that makes of a search over all of CIFAR-10-LT
with the default plan.

``bounds`` says what limits the bare loop: its share of the arithmetic that a large product of
matrices attains on the device, and on a GPU the share of the time in which a profile sees it busy:
the rest it waits for the host to start kernels. On a CPU times are of one thread's processor, which
other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from autobalance.errors import DataError
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.factory import model_factory
from autobalance.models.pixels import Pixels
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.augment import CropAndFlip
from autobalance.training.examples import Examples
from autobalance.training.layout import channels_last
from autobalance.training.loop import Epoch, Training
from autobalance.training.pipeline import default_device, own_randomness
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import ShuffledBatches, StratifiedBatches
from autobalance.training.settings import TrainingSettings
from benchmarks.record import write_record

CLASSES, SHAPE, BATCH = 10, (3, 32, 32), 128
CPU_STEPS, GPU_STEPS = {"strided-cnn": 40, "resnet8": 8, "resnet32": 2}, 100
FLOOR, OURS, MOVE = "bare loop", "AutoBalance", "AutoBalance, a step of the loss"
OPTIONS: dict[str, dict[str, Any]] = {
    OURS: {},
    "AutoBalance, augmented": {"augment": CropAndFlip()},
    "AutoBalance, TF32": {"precision": "tf32"},
    "AutoBalance, bfloat16": {"precision": "bfloat16"},
    "AutoBalance, compiled": {"compile": True},
    "AutoBalance, compiled, bfloat16": {"compile": True, "precision": "bfloat16"},
}
ON_GPU_ALONE = {"AutoBalance, TF32", "AutoBalance, compiled, bfloat16"}
LONG_TAILED = 12_406
"""Examples of CIFAR-10-LT with an imbalance of 100."""
BUSY = 0.9
"""Share of the time below which a GPU counts as waiting."""
_PRODUCT = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices whose product is the measure of arithmetic."""

Seconds = Callable[[], float]
"""Runs a method once and tells how long what counts of it took."""


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", nargs="+", default=list(CPU_STEPS))
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--steps", type=int, help="timed at once; default: about a second's")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    device = default_device(arguments.device)
    rows, bounds = [], {}
    for model in arguments.model:
        default = GPU_STEPS if device.type == "cuda" else CPU_STEPS.get(model, 2)
        case = Case(model, arguments.steps or default, device)
        rows += compare(case, arguments.repeats)
        bounds[model] = bounds_of(case)
        _show(rows, bounds)
    if arguments.json:
        facts = {"device": _name(device), "summary": summarise(rows), "bounds": bounds}
        write_record(arguments.json, "training_speed", rows, **facts)


@dataclass(frozen=True)
class Case:
    """A network and how many steps of it are timed at once."""

    model: str
    steps: int
    device: torch.device

    def network(self) -> nn.Module:
        """With the same first weights every time."""
        torch.manual_seed(0)
        return nn.Sequential(Pixels(), model_factory(self.model)(SHAPE, CLASSES)).to(self.device)

    def examples(self) -> Examples:
        """As many as the steps take, balanced, in noise."""
        n = self.steps * BATCH
        pixels = torch.randint(256, (n, *SHAPE), dtype=torch.uint8)
        codes = torch.arange(n) % CLASSES
        return Examples(pixels, codes, None, tuple(range(CLASSES))).to(self.device)


def compare(case: Case, repeats: int) -> list[dict[str, Any]]:
    """The rows of one network: every method in every repeat."""
    rows: list[dict[str, Any]] = []
    with own_randomness(case.device):
        ready = dict(methods(case))
        for repeat in range(repeats):
            seconds = {method: run() for method, run in ready.items()}
            step = seconds[FLOOR] / case.steps
            for method, taken in seconds.items():
                row = {"method": method, "model": case.model, "seed": repeat, "seconds": taken}
                if method == MOVE:
                    row["steps"] = taken / step
                else:
                    row["images_per_second"] = case.steps * BATCH / taken
                    row["ratio"] = seconds[FLOOR] / taken
                rows.append(row | ({"headline": True} if method == OURS else {}))
    return rows


def methods(case: Case) -> Iterator[tuple[str, Seconds]]:
    """What is compared, each run once: what is loaded or compiled first is on nobody's bill."""
    yield FLOOR, _tried(bare_loop(case))
    for method, options in OPTIONS.items():
        if case.device.type == "cpu" and method in ON_GPU_ALONE:
            continue
        try:
            yield method, _tried(library(case, **options))
        except DataError as error:
            print(f"{method} is left out: {error}")
    yield MOVE, _tried(move_of_the_loss(case))


def _tried(run: Seconds) -> Seconds:
    run()
    return run


def bare_loop(case: Case) -> Seconds:
    """PyTorch and no more."""
    model = case.network().to(memory_format=torch.channels_last).train()
    examples = case.examples()
    images, codes = examples.inputs, examples.targets.to(case.device)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)

    def epoch() -> None:
        order = torch.randperm(len(images)).to(case.device)
        for rows in order.split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(images[rows]), codes[rows]).backward()
            optimizer.step()

    def run() -> float:
        epoch()
        with _timed(case.device) as taken:
            epoch()
        return taken[0]

    return run


def library(case: Case, **options: Any) -> Seconds:
    """The library's training, which goes on by two epochs in each run."""
    training = _training(case, **options)

    def run() -> float:
        ends: list[float] = []

        def note(_: Epoch) -> None:
            ends.append(_now(case.device))

        epochs = len(training.history) + 2
        training.settings = replace(training.settings, epochs=epochs)
        training.run(on_epoch=note)
        return ends[1] - ends[0]

    return run


def _training(case: Case, **options: Any) -> Training:
    settings = TrainingSettings(
        1, BATCH, learning_rate=0.01, weight_decay=0.0, schedule="constant", **options
    )
    examples = case.examples()
    loss = ParametricCrossEntropy.from_design(preset("logit-adjustment", examples.counts))
    index = torch.arange(len(examples))
    batches = ShuffledBatches(examples, index, BATCH, 0, settings.augment)
    return Training(case.network(), loss.to(case.device), batches, settings)


def move_of_the_loss(case: Case) -> Seconds:
    """A step of the loss with the default settings of a search."""
    settings = OnlineSettings(every=OnlineSettings.recent_batches)
    case = replace(case, steps=max(settings.every, SearchPlan.batch_size // BATCH + 1))
    training, examples = _training(case), case.examples()
    training.run()
    batches = list(training.batches)[: settings.every]
    held_out = StratifiedBatches(examples, torch.arange(len(examples)), SearchPlan.batch_size, 0)
    search = OnlineSearch(
        training.model,
        training.loss,
        "balanced",
        held_out,
        parameters=("additive", "multiplicative"),
        settings=settings,
    )

    def run() -> float:
        with (
            channels_last(training.model, training.optimizer),  # as in a training
            _timed(case.device) as taken,
        ):
            for batch in batches:
                search.step(*batch)
        return taken[0]

    return run


@contextmanager
def _timed(device: torch.device) -> Iterator[list[float]]:
    """The seconds that it took, once it is left."""
    taken: list[float] = []
    started = _now(device)
    yield taken
    taken.append(_now(device) - started)


def _now(device: torch.device) -> float:
    """Seconds, of the processor or, for a GPU, once it has done everything."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def bounds_of(case: Case) -> dict[str, Any]:
    """What limits the bare loop."""
    with own_randomness(case.device):
        run = _tried(bare_loop(case))
        seconds = min(run() for _ in range(3))
        operations = operations_of_a_step(case) * case.steps / seconds
        found = {"matmul_share": operations / _attained(case.device)}
        if case.device.type == "cuda":
            found["busy_share"] = _busy_seconds(run) / 2 / seconds  # it trains for two epochs
    return found | {"bound_by": bound_by(**found)}


def bound_by(matmul_share: float, busy_share: float = 1.0) -> str:
    """In words."""
    if busy_share < BUSY:
        return "the host, which starts kernels no faster; compile"
    if matmul_share > 0.5:
        return "arithmetic"
    return "reading and writing of maps, and small products"


def operations_of_a_step(case: Case) -> int:
    """Floating-point operations of convolutions and products, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        model = case.network()
        images = torch.zeros(BATCH, *SHAPE, dtype=torch.uint8, device=case.device)
        model(images).sum().backward()
    return int(counter.get_total_flops())


def _attained(device: torch.device) -> float:
    """Operations a second of a large product, in the precision of convolutions by default."""
    size = _PRODUCT[device.type]
    a = torch.randn(size, size, device=device)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # as convolutions are
    try:
        seconds = [_product_seconds(a, device) for _ in range(5)]
    finally:
        torch.set_float32_matmul_precision(before)
    return 2 * size**3 / min(seconds)


def _product_seconds(a: Tensor, device: torch.device) -> float:
    with _timed(device) as taken:
        a @ a
    return taken[0]


def _busy_seconds(run: Seconds) -> float:
    """Seconds of a GPU's work; that the host was held up by the profile does not count."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run()
    return seconds_of_kernels(profiled.key_averages())


def seconds_of_kernels(events: Iterable[Any]) -> float:
    """Of those on the GPU, whose marks span kernels that count by themselves."""
    own = (e for e in events if e.device_type == DeviceType.CUDA and not e.is_user_annotation)
    return sum(event.self_device_time_total for event in own) / 1e6


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the repeats, and the range of what is told relative to the bare loop."""
    summary = []
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in rows):
        own = [row for row in rows if (row["model"], row["method"]) == (model, method)]
        unit = "steps" if method == MOVE else "ratio"
        values = [row[unit] for row in own]
        entry = {"model": model, "method": method, unit: float(np.median(values))}
        entry |= {"lowest": min(values), "highest": max(values)}
        if method == MOVE:
            plain = [row["ratio"] for row in rows if (row["model"], row["method"]) == (model, OURS)]
            entry["search"] = search_speed(entry["steps"] * float(np.median(plain)))
        else:
            entry["images_per_second"] = float(np.median([row["images_per_second"] for row in own]))
        summary.append(entry)
    return summary


def search_speed(steps: float) -> float:
    """Images a second of a whole search relative to plain training, if a move costs so many steps.

    Over four fifths of CIFAR-10-LT, with the plan for the balanced error and the default epochs.
    """
    plan, settings = SearchPlan(), TrainingSettings()
    total = settings.epochs * (round((1 - plan.held_out) * LONG_TAILED) // BATCH)
    course = plan.for_steps(total, ("emphasis",))
    moves = (total - course.warm_up) // course.every
    return total / (total + moves * steps)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _show(rows: list[dict[str, Any]], bounds: dict[str, dict[str, Any]]) -> None:
    repeats = len({row["seed"] for row in rows})
    table = Table(title=f"Images a second relative to the bare loop; medians of {repeats} repeats")
    for name in ("network", "method"):
        table.add_column(name)
    for name in ("images/s", "ratio", "range"):
        table.add_column(name, justify="right")
    summary = summarise(rows)
    for entry in summary:
        spread = f"{entry['lowest']:.2f} to {entry['highest']:.2f}"
        if entry["method"] == MOVE:
            cells = ["", f"{entry['steps']:.1f} steps", spread]
        else:
            cells = [f"{entry['images_per_second']:.0f}", f"{entry['ratio']:.2f}", spread]
        table.add_row(entry["model"], entry["method"], *cells)
    console = Console(width=100)
    console.print(table)
    for entry in summary:
        if entry["method"] == MOVE:
            print(f"{entry['model']}: a search trains at {entry['search']:.2f} of plain speed")
    for model, found in bounds.items():
        shares = ", ".join(f"{name} {found[name]:.0%}" for name in found if name != "bound_by")
        print(f"{model}: the bare loop is bound by {found['bound_by']} ({shares})")


if __name__ == "__main__":
    main()
