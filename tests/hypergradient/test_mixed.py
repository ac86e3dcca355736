"""Closed forms of the mixed derivative against autograd through the loss, and their invariants."""

import pytest
import torch

from autobalance.hypergradient.mixed import LossDerivatives, mixed_products
from autobalance.losses.parametric import adjusted_cross_entropy


def draw(seed=0, folds=3, classes=4, groups=2, examples=23):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "logits": 2 * normal(folds, classes, examples),
        "tangents": normal(folds, classes, examples),
        "target": torch.randint(classes, (examples,), generator=generator),
        "group": torch.randint(groups, (examples,), generator=generator),
        "weight": normal(classes, groups).exp(),
        "additive": normal(classes, groups),
        "multiplicative": (0.5 * normal(classes, groups)).exp(),
        "example_weight": normal(folds, examples).abs(),
    }


def by_autograd(case):
    """∂ over (w, l, δ) of Σ s ⟨∂loss/∂z, u⟩ with z and u detached, by double backward."""
    values = [case[name].clone().requires_grad_() for name in LossDerivatives._fields]
    total = 0.0
    columns = (case[name] for name in ("logits", "tangents", "example_weight"))
    for logits, u, s in zip(*columns, strict=True):
        z = logits.T.clone().requires_grad_()
        losses = adjusted_cross_entropy(
            z, case["target"], *values, group=case["group"], reduction="none"
        )
        (slope,) = torch.autograd.grad((s * losses).sum(), z, create_graph=True)
        total = total + (slope * u.T).sum()
    return LossDerivatives(*torch.autograd.grad(total, values))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_closed_forms_are_what_autograd_gives(seed, classes, groups):
    case = draw(seed, classes=classes, groups=groups)
    for found, expected in zip(mixed_products(**case), by_autograd(case), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_constant_added_to_the_logits_changes_nothing():
    case = draw()
    result = mixed_products(**case)
    torch.testing.assert_close(
        result.additive.sum(0), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_no_change_of_the_logits_gives_no_derivative():
    case = draw()
    case["tangents"] = torch.zeros_like(case["tangents"])
    assert all(not part.any() for part in mixed_products(**case))


def test_examples_of_weight_zero_and_empty_cells_do_not_enter():
    case = draw()
    out = (case["target"] == 1) & (case["group"] == 0)
    case["example_weight"][:, out] = 0
    kept = dict(case)
    for name in ("logits", "tangents", "target", "group", "example_weight"):
        kept[name] = case[name][..., ~out]
    result = mixed_products(**case)
    for found, expected in zip(result, mixed_products(**kept), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    assert result.weight[1, 0] == 0


def test_extreme_logits_stay_finite():
    case = draw()
    case["logits"] = 1e4 * case["logits"]
    assert all(part.isfinite().all() for part in mixed_products(**case))


def test_float32_agrees_with_float64():
    case = draw()
    single = {k: v.float() if v.is_floating_point() else v for k, v in case.items()}
    for found, expected in zip(mixed_products(**single), mixed_products(**case), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
