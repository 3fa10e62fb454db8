"""Muon: for matrices the momentum's nearest orthogonal matrix is the step (Jordan 2024), as long as AdamW's would be and with its
weight decay ("Muon is scalable", Liu et al. 2025, section 2.2). Everything that is no matrix between features gets AdamW."""

import torch

MOMENTUM = 0.95
# Quintic iteration of Newton and Schulz towards the orthogonal factor: singular values end within 0.7 and 1.2.
ITERATION = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
AS_LONG = 0.2  # root mean square of a step of AdamW


def orthogonal(m):
    """f32 [a, b] -> nearly U V^T of its singular value decomposition."""
    a, b, c = ITERATION
    tall = m.shape[0] > m.shape[1]
    x = m.t() if tall else m
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return x.t() if tall else x


def is_matrix(name, p):
    """Whether a parameter of `train.Model` maps features to features: no table of positions, no kernel, no training head."""
    return p.ndim == 2 and name.endswith(".weight") and name.startswith(("stab.", "narrator."))


class Muon(torch.optim.Optimizer):
    """Of the groups with `muon` the matrices; AdamW of the others. State is kept as torch's optimizers keep it."""

    def __init__(self, model, lr, weight_decay, betas):
        matrices = [p for name, p in model.named_parameters() if is_matrix(name, p)]
        others = [p for name, p in model.named_parameters() if not is_matrix(name, p)]
        groups = [{"params": matrices, "muon": True}, {"params": others, "muon": False}]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": 1e-8})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                p.mul_(1 - group["lr"] * group["weight_decay"])
                (self.turn if group["muon"] else self.adam)(p, state, group)

    def turn(self, p, state, group):
        momentum = state.setdefault("momentum", torch.zeros_like(p))
        momentum.lerp_(p.grad, 1 - MOMENTUM)
        step = orthogonal(p.grad.lerp(momentum, MOMENTUM))  # Nesterov
        p.add_(step, alpha=-group["lr"] * AS_LONG * max(p.shape) ** 0.5)

    def adam(self, p, state, group):
        (slow, fast), count = group["betas"], state.get("step", 0) + 1
        first, second = (state.setdefault(k, torch.zeros_like(p)) for k in ("exp_avg", "exp_avg_sq"))
        first.lerp_(p.grad, 1 - slow)
        second.lerp_(p.grad.square(), 1 - fast)
        state["step"] = count
        size = (second / (1 - fast**count)).sqrt() + group["eps"]
        p.addcdiv_(first, size, value=-group["lr"] / (1 - slow**count))
