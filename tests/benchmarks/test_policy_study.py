"""The fixed policies, and what their gains are paired with."""

import pytest

from autobalance.reproduce.images import methods
from benchmarks import policy_study as study
from benchmarks.search_study.variants import DRAWN, Drawn


def test_every_variant_has_a_name_and_a_policy_of_its_own(lab):
    names = [name for variant in study.VARIANTS for name in variant.names]
    assert len(set(names)) == len(names)
    designs = [design for each in study.VARIANTS for design in each.designs(lab).values()]
    policies = [methods.values(design).get("policy") for design in designs]
    multiplied, drawn = policies[:2], policies[2:]
    assert multiplied == drawn[:2]
    assert drawn[0] is None
    assert len({str(policy) for policy in drawn}) == 5
    assert [isinstance(each, Drawn) for each in study.VARIANTS] == 2 * [False] + 5 * [True]


def test_gains_are_on_the_same_weights_without_a_policy():
    def row(question, variant, balanced):
        return {
            "question": question,
            "variant": variant,
            "seed": 0,
            "balanced": balanced,
            "search_seconds": 0.0,
        }

    rows = [
        row(study.MULTIPLIED, study.NO_POLICY, 15.0),
        row(study.MULTIPLIED, "level 0.3", 14.0),
        row(DRAWN, "no policy, drawn", 12.0),
        row(DRAWN, "level 0.3, drawn", 11.5),
    ]
    assert [entry["gain"] for entry in study.summarised(rows)] == pytest.approx([0, 1, 0, 0.5])
