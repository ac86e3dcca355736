"""Products with the Hessian against the dense matrix."""

import torch

from autobalance.hypergradient import Hessian
from autobalance.hypergradient.network import Network


def test_it_is_the_dense_product(problem, parametric):
    batch = problem.train[0]

    def loss(theta):
        return parametric(problem.logits(theta, batch.inputs), batch, *problem.values)

    dense = torch.func.hessian(loss)(problem.theta())
    assert torch.linalg.eigvalsh(dense)[0] < -1e-3  # it is indefinite, so no Gauss–Newton
    network = Network(problem.model)
    for kind in (problem.loss, problem.written_out):
        with network.undisturbed():
            operator = Hessian().at(network, kind, batch)
            found = torch.stack([operator(axis) for axis in torch.eye(35, dtype=torch.float64)])
        torch.testing.assert_close(found, dense)
        assert not found.requires_grad
