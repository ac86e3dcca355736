"""Every section in its order, each with the command behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.page import heads, images, networks, policies, reproductions
from benchmarks.page.markdown import Record

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "results", ROOT / "docs" / "results.md"

_HEAD = """# Results

Every figure below is copied by `python -m benchmarks.page` from a file under `results/`, which the
command beside it wrote; the files hold every run. Timings are ratios within one run, but for
[a million rows](#a-million-rows), whose goal is in minutes. All that is tuned is tuned on held-out
folds of the training rows."""

SECTIONS: dict[str, Callable[[Record], str]] = {
    "waterbirds": heads.waterbirds,
    "tables": heads.tables,
    "search_cost": heads.search_cost,
    "calibration": heads.calibration,
    "verdict": heads.verdict,
    "held_out_loss": heads.held_out_loss,
    "costs": heads.costs,
    "million_rows": heads.million_rows,
    "hypergradient": networks.hypergradient,
    "pipeline_cost": networks.pipeline_cost,
    "online_exact": networks.online_exact,
    "many_classes": networks.many_classes,
    "training_speed": networks.training_speed,
    "cifar10_lt_small": images.long_tail,
    "cifar10_lt_small_60_epochs": images.long_tail,
    "fashion_mnist_lt": images.long_tail,
    "search_study_cifar10_lt": images.search_study,
    "search_study_cifar10_lt_60_epochs": images.search_study,
    "search_study_fashion_mnist_lt": images.search_study,
    "planted_rotation": policies.planted_rotation,
    "planted_rotation_less_noise": policies.planted_rotation,
    "augmentation": policies.augmentation,
    "policy_study_fashion_mnist_lt_60_epochs": policies.policy_study,
    **dict.fromkeys(
        (
            "table1_fashion_mnist_lt",
            "table2_fashion_mnist_lt",
            "table3_waterbirds",
            "table5_waterbirds",
            "figure2",
            "figure3_fashion_mnist_lt",
            "figure4_fashion_mnist_lt",
            "figure5_waterbirds",
            "transfer_fashion_mnist_lt",
            "cost_fashion_mnist_lt",
            "lemma1",
            "lemma2",
            "theorem1",
        ),
        reproductions.section,
    ),
}


def render(folder: Path) -> str:
    """The page as Markdown, from the records in ``folder``."""
    parts = [_HEAD]
    for name, section in SECTIONS.items():
        record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        parts += [section(record), _source(name, record)]
    return "\n\n".join(parts) + "\n"


def _source(name: str, record: Record) -> str:
    """The file, its command and what it ran on."""
    hardware, versions = record["hardware"], record["versions"]
    return (
        f"[`results/{name}.json`](../results/{name}.json): `{record['command']}`, "
        f"{record['created'][:10]}, {hardware['processor']}, {hardware['cores']} cores, Python "
        f"{versions['python']}, PyTorch {versions['torch']}."
    )
