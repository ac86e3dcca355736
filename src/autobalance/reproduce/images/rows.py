"""Which rows tables 1 and 4 have, by their keys, which are those of the published figures."""

from __future__ import annotations

from dataclasses import replace

from autobalance.augmentation.policy import policy_by_frequency, policy_for_images
from autobalance.design import LossDesign
from autobalance.losses.focal import FocalLoss
from autobalance.losses.ldam import LDAMLoss
from autobalance.policy_space import POLICY_PARAMETERS
from autobalance.reproduce.fitted import POST_HOC
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import (
    ClosedForm,
    CrossEntropyAndPostHoc,
    Designed,
    Method,
    Row,
    TunedForm,
)
from autobalance.reproduce.images.settings import Course

HEADLINE = "autobalance-delta-l-la-init"
"""The paper's best design space; the row that the published table is about."""
DEFAULT = "autobalance"
"""What the library does by default, which the paper has not."""
CROSS_ENTROPY, LOGIT_ADJUSTED = "cross-entropy", "logit-adjusted-tau-1"
BALANCED = "balanced"
_L, _DELTA = "additive", "multiplicative"
_CDT_STRENGTHS = (0.05, 0.15, 0.3)

METHODS: tuple[Method, ...] = (
    CrossEntropyAndPostHoc(
        Row(CROSS_ENTROPY, "Cross-entropy"),
        Row("logit-adjusted-post-hoc", "Post-hoc logit adjustment, τ = 1", POST_HOC),
        Row("bias-tuned", "Post-hoc bias, tuned", POST_HOC),
    ),
    ClosedForm("ldam", "LDAM-DRW", loss=lambda lab: LDAMLoss(lab.counts), cosines=True),
    ClosedForm(
        LOGIT_ADJUSTED, "Logit adjustment, τ = 1", loss=lambda lab: lab.preset("logit-adjustment")
    ),
    TunedForm("cdt", "CDT, γ tuned", preset="cdt", grid={"gamma": _CDT_STRENGTHS}),
    Designed("autobalance-tau", "AutoBalance: τ", parameters=(_L,), dictionary="log-prior"),
    Designed("autobalance-l", "AutoBalance: l", parameters=(_L,)),
    Designed("autobalance-delta", "AutoBalance: Δ", parameters=(_DELTA,)),
    Designed("autobalance-delta-l", "AutoBalance: Δ & l", parameters=(_L, _DELTA)),
    Designed(
        HEADLINE, "AutoBalance: Δ & l, LA init", parameters=(_L, _DELTA), start="logit-adjustment"
    ),
    Designed(
        DEFAULT,
        "AutoBalance, the library's default",
        parameters=("emphasis",),
        start="logit-adjustment",
        dictionary="auto",
        course=Course(),
    ),
    ClosedForm(BALANCED, "Balanced cross-entropy", loss=lambda lab: lab.preset("weighted")),
    ClosedForm(
        "class-balanced",
        "Class-balanced (effective number)",
        loss=lambda lab: lab.preset("class-balanced"),
    ),
    ClosedForm("focal", "Focal, γ = 2", loss=lambda lab: FocalLoss(lab.counts)),
    ClosedForm(
        "balanced-softmax", "Balanced softmax", loss=lambda lab: lab.preset("balanced-softmax")
    ),
    TunedForm(
        "vs",
        "VS, τ and γ tuned",
        preset="vs",
        start={"tau": 1.0},
        grid={"gamma": (0.0, 0.05, 0.15), "tau": (1.0, 0.75, 1.25)},
    ),
    ClosedForm(
        "class-balanced-sampling",
        "Class-balanced sampling",
        loss=lambda lab: lab.preset("cross-entropy"),
        exponent=0.0,
    ),
    ClosedForm(
        "square-root-sampling",
        "Square-root sampling",
        loss=lambda lab: lab.preset("cross-entropy"),
        exponent=0.5,
    ),
)
"""In the order of the table; those after the headline are not in the published one."""

MADAO, PDA, PDA_AND_LOSS = "madao", "autobalance-pda", "autobalance-pda-delta-l"
LOSS_ALONE = "autobalance-delta-l"
_BY_CLASS = {_L: "class", _DELTA: "class"}


def _one_policy(lab: ImageLab) -> LossDesign:
    policy = policy_for_images(lab.counts.n_classes, 1, lab.channels)
    return replace(lab.preset(lab.recipe.start), policy=policy)


def _by_frequency(lab: ImageLab) -> LossDesign:
    policy = policy_by_frequency(lab.counts, lab.channels)
    return replace(lab.preset(lab.recipe.start), policy=policy)


AUGMENTED: tuple[Method, ...] = (
    ClosedForm("policy", "One policy, not searched", loss=_one_policy),
    ClosedForm("policy-by-frequency", "A policy by frequency, not searched", loss=_by_frequency),
    Designed(
        MADAO,
        "MADAO: one policy for all",
        parameters=POLICY_PARAMETERS,
        start=_one_policy,
        dictionary="one",
    ),
    Designed(
        PDA,
        "AutoBalance: PDA",
        parameters=POLICY_PARAMETERS,
        start=_one_policy,
        dictionary="line",
    ),
    Designed(
        PDA_AND_LOSS,
        "AutoBalance: PDA, Δ & l",
        parameters=(_L, _DELTA, *POLICY_PARAMETERS),
        start=_one_policy,
        dictionary=_BY_CLASS | dict.fromkeys(POLICY_PARAMETERS, "line"),
    ),
)
"""The rows of table 2 that augment, in its order; the others are those of table 1."""
