"""Hypergradients: how the trained parameters, and so the objective, answer to the loss."""

from autobalance.hypergradient.damped_cg import CG
from autobalance.hypergradient.decisions import LossOfDecisions
from autobalance.hypergradient.estimate import Hypergradient, Record, hypergradient
from autobalance.hypergradient.gauss_newton import GaussNewton
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.logit_loss import AutogradLoss, LogitLoss, ParametricLoss
from autobalance.hypergradient.neumann import Neumann
from autobalance.hypergradient.one_step import OneStep
from autobalance.hypergradient.published import published_hypergradient
from autobalance.hypergradient.solvers import Solution, Solver
from autobalance.hypergradient.tangent import FiniteDifference, ForwardMode, Tangent
from autobalance.hypergradient.validation import Finding, check_model

__all__ = [
    "CG",
    "AutogradLoss",
    "Finding",
    "FiniteDifference",
    "ForwardMode",
    "GaussNewton",
    "Hessian",
    "Hypergradient",
    "LogitLoss",
    "LossOfDecisions",
    "Neumann",
    "OneStep",
    "ParametricLoss",
    "Record",
    "Solution",
    "Solver",
    "Tangent",
    "check_model",
    "hypergradient",
    "published_hypergradient",
]
