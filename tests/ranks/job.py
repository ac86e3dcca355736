"""What one process and two are compared on: run alone, or by torchrun.

python job.py NAME OUT: writes OUT/NAME-RANK.json
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import autobalance.data.features as feature_chunks
import autobalance.search.heads as linear_heads
import autobalance.workbench as linear_bench
from autobalance import (
    AutoBalanceClassifier,
    Counts,
    OnlineSearch,
    OnlineSettings,
    ParametricCrossEntropy,
    SearchPlan,
    StratifiedBatchSampler,
    TrainingSettings,
    across_ranks,
    preset,
    search_and_retrain,
)

CLASSES = 3


def data(size=900, seed=0):
    """Three classes, two groups; the third class is rare, above all in the second group."""
    generator = np.random.default_rng(seed)
    target = generator.choice(CLASSES, size, p=[0.6, 0.3, 0.1])
    group = (generator.random(size) < np.array([0.5, 0.3, 0.2])[target]).astype(int)
    features = generator.normal(size=(size, 6))
    features[np.arange(size), target] += 1.2
    features[:, 3] += group
    return features, target, group


def a_network():
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, CLASSES))


def exact():
    """The exact search of an objective of groups, in several chunks for each rank."""
    feature_chunks._CHUNK_BYTES = 2**16
    x, target, group = data()
    model = AutoBalanceClassifier(
        "worst-group", verdict=None, cv=3, required_gain=None, random_state=0
    )
    model.fit(x, target, sensitive_features=group)
    return {
        "alpha": model.result_.alpha.tolist(),
        "design": json.loads(model.design_.to_json()),
        "coefficients": model.coef_.tolist(),
        "went_ahead": model.result_.statistics.get("scout_rows"),
    }


def many_rows():
    """The same where some rows of each cell go ahead of all, as with very many."""
    linear_bench._ROWS_OF_A_SCOUT, linear_heads._ROWS_OF_A_CELL = 40, 30
    return exact()


def own_loop():
    """Algorithm 1 beside a loop of one's own, on the same global batches."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    features, target, group = data()
    x, y, g = torch.from_numpy(features).float(), torch.from_numpy(target), torch.from_numpy(group)
    train, held_out = torch.arange(600), torch.arange(600, 900)
    torch.manual_seed(0)
    model = a_network()
    if size > 1:
        model = nn.parallel.DistributedDataParallel(model)
    design = preset("group-la", Counts.from_codes(target[:600], group[:600], range(3), range(2)))
    loss = ParametricCrossEntropy.from_design(design)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-3)
    sampler = StratifiedBatchSampler(target[600:], group[600:], 48)
    dataset = torch.utils.data.TensorDataset(x[held_out], y[held_out], g[held_out])
    search = OnlineSearch(
        model,
        loss,
        "worst-group",
        torch.utils.data.DataLoader(dataset, batch_sampler=sampler),
        settings=OnlineSettings(warm_up=10, every=2),
        trained_by=optimizer,
        parameters=("additive", "multiplicative", "ridge"),
    )
    order = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(40):
        batch = train[torch.randperm(600, generator=order)[:60]]
        mine = batch[rank::size]
        optimizer.zero_grad()
        value = loss(model(x[mine]), y[mine], g[mine])
        value.backward()
        optimizer.step()
        search.step(x[mine], y[mine], g[mine])
        losses.append(float(value.detach()))
    return {
        "alpha": search.alpha.vector.tolist(),
        "moves": [float(bool(move.refused)) for move in search.history],
        "design": json.loads(search.design().to_json()),
        "losses": losses,
    }


def pipeline(folder=None, progress=None, epochs=6):
    """Search and retraining, through the library's own loop; batches that do not divide evenly."""
    features, target, group = data()
    with across_ranks():
        result = search_and_retrain(
            a_network,
            (features, target, group),
            "worst-group",
            test_data=data(400, seed=1),
            training=TrainingSettings(epochs=epochs, batch_size=65, learning_rate=0.1),
            plan=SearchPlan(warm_up=0.3, held_out=0.3, batch_size=50),
            device="cpu",
            checkpoints=folder,
            progress=progress,
        )
    return {
        "alpha": result.moves[-1].alpha.tolist(),
        "design": json.loads(result.design.to_json()),
        "train_losses": [e.train_loss for phase in result.epochs.values() for e in phase],
        "weights": [p.tolist() for p in result.model.parameters()],
        "held_out": result.held_out_logits.tolist(),
        "error": result.evaluation.objective.value,
    }


def in_ranks(fit):
    with across_ranks():
        return fit()


def refused():
    """One rank's batch is not finite: no rank moves."""
    rank = int(os.environ["RANK"])
    model = nn.parallel.DistributedDataParallel(a_network())
    loss = ParametricCrossEntropy.from_design(
        preset("logit-adjustment", Counts(np.array([[48.0], [24.0], [8.0]]), (0, 1, 2)))
    )
    torch.manual_seed(rank)
    x, y = torch.randn(30, 6), torch.arange(30) % 3
    search = OnlineSearch(
        model, loss, "balanced", [(x, y)], settings=OnlineSettings(every=1, recent_batches=1)
    )
    for step in range(3):
        inputs = x.clone()
        if step == 1 and rank == 1:
            inputs[0, 0] = torch.nan
        search.step(inputs, y)
    return {"refused": [move.refused for move in search.history], "alpha": loss.additive.tolist()}


def killed(out):
    """The second rank dies, without a word, after the fourth epoch of the retraining."""
    seen = []

    def progress(phase, epoch):
        seen.append(epoch)

    if os.environ["RANK"] == "1":
        from autobalance.training import loop

        whole = loop.Training._epoch

        def dying(training, number):
            if training.search is None and number == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(training, number)

        loop.Training._epoch = dying
    return pipeline(out / "checkpoints", progress)


def resumed(out):
    return pipeline(out / "checkpoints")


def main():
    name, out = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    job = {
        "exact": lambda: in_ranks(exact),
        "many_rows": lambda: in_ranks(many_rows),
        "own_loop": own_loop,
        "pipeline": pipeline,
        "refused": refused,
        "killed": lambda: killed(out),
        "resumed": lambda: resumed(out),
    }
    if name != "several":
        results = {name: job[name]()}
    else:
        torch.distributed.init_process_group("gloo")
        names = ("exact", "own_loop", "pipeline", "refused", "many_rows")
        results = {each: job[each]() for each in names}
        torch.distributed.destroy_process_group()
    for each, result in results.items():
        (out / f"{each}-{os.environ['RANK']}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
