"""Stars from a history: the visitor's taste is solved for, not stored."""

from __future__ import annotations

import keras
from keras import ops

RATE_PRIORS = {"bias": 0.74, "session_days": 0.05, "session": 0.5, "session_prior": 7.4,
               "sharpness": 4.5, "neighbour_prior": 1.0}  # fmt: skip
"""First values of the learned scalars; all are kept positive (or in (0, 1): `session`) by their form."""


@keras.saving.register_keras_serializable(package="shared")
class RidgeReader(keras.layers.Layer):
    """Predicted stars of asked-for items from a history of rated ones.

    With item vectors Q and biases b, a visitor's vector is the ridge solution
    `p = argmin sum_j (r_j - b_j - q_j p)^2 + p' diag(penalty) p`: the mode of a factorization with the user factor
    integrated out (https://proceedings.neurips.cc/paper/2007/hash/d7322ed717dedf1eb4e6e52a37ea7bcd-Abstract.html),
    so a new visitor is read exactly as one of the training set. What p leaves unexplained is passed on by two
    kernels: the residuals of ratings given about the same time (a mood or scale of the session,
    https://doi.org/10.1145/1557019.1557072) and of similar items.

    The system is solved by a fixed number of conjugate-gradient steps, which differentiate and export.

    Takes a dict: `vectors` `(batch, n, dim)`, `biases` `(batch, n)`, `ratings`, `days`, `mask` `(batch, n)` of the
    history; `query_vectors` `(batch, q, dim)`, `query_biases`, `query_days` `(batch, q)`.

    Args:
        kernels: Use the two kernels.
        steps: Conjugate-gradient steps.
    """

    def __init__(self, kernels: bool = True, steps: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.kernels, self.steps = kernels, steps

    def build(self, input_shape: dict) -> None:
        dim = input_shape["vectors"][-1]
        self.penalty = self.add_weight(shape=(dim + 1,), initializer="ones", name="penalty")
        names = list(RATE_PRIORS) if self.kernels else ["bias"]
        self.scalars = {n: self.add_weight(shape=(), initializer="zeros", name=f"log_{n}") for n in names}
        self.built = True

    def _scalar(self, name: str):
        return RATE_PRIORS[name] * ops.exp(self.scalars[name])

    def call(self, inputs: dict):
        mask = ops.expand_dims(inputs["mask"], -1)
        # One column more: the visitor's own bias, shrunk like the rest.
        one = self._scalar("bias")
        history = ops.concatenate([inputs["vectors"] * mask, mask * one], axis=-1)
        query = inputs["query_vectors"]
        query_one = ops.concatenate([query, ops.ones_like(query[..., :1]) * one], axis=-1)
        residual = ops.expand_dims((inputs["ratings"] - inputs["biases"]) * inputs["mask"], -1)
        taste = self._solve(history, residual)
        stars = inputs["query_biases"] + ops.matmul(query_one, taste)[..., 0]
        if not self.kernels:
            return stars
        left = residual - ops.matmul(history, taste)
        apart = ops.abs(ops.expand_dims(inputs["query_days"], 2) - ops.expand_dims(inputs["days"], 1))
        near = ops.exp(-apart / self._scalar("session_days")) * ops.expand_dims(inputs["mask"], 1)
        share = ops.sigmoid(self.scalars["session"])
        stars += share * self._passed_on(near, left, "session_prior")
        like = ops.matmul(_unit(query), ops.transpose(_unit(inputs["vectors"]), (0, 2, 1)))
        like = ops.exp((like - 1) * self._scalar("sharpness")) * ops.expand_dims(inputs["mask"], 1)
        return stars + self._passed_on(like, left, "neighbour_prior")

    def _passed_on(self, kernel, left, prior: str):
        return ops.matmul(kernel, left)[..., 0] / (ops.sum(kernel, axis=-1) + self._scalar(prior))

    def _solve(self, history, residual):
        """Preconditioned conjugate gradient on `(H'H + diag(penalty)) p = H'r`, `(batch, dim + 1, 1)`."""
        transposed = ops.transpose(history, (0, 2, 1))
        penalty = ops.expand_dims(2 * ops.softplus(self.penalty), -1)
        gram = ops.matmul(transposed, history)
        inverse = 1 / (ops.expand_dims(ops.sum(history**2, axis=1), -1) + penalty)
        left = ops.matmul(transposed, residual)
        taste = ops.zeros_like(left)
        scaled = inverse * left
        direction = scaled
        energy = ops.sum(left * scaled, axis=1, keepdims=True)
        for _ in range(self.steps):
            image = ops.matmul(gram, direction) + penalty * direction
            # The small terms keep a solved system (or an empty history) at rest instead of dividing 0 by 0.
            step = energy / (ops.sum(direction * image, axis=1, keepdims=True) + 1e-12)
            taste = taste + step * direction
            left = left - step * image
            scaled = inverse * left
            new = ops.sum(left * scaled, axis=1, keepdims=True)
            direction = scaled + new / (energy + 1e-12) * direction
            energy = new
        return taste

    def compute_output_shape(self, input_shape: dict) -> tuple:
        return tuple(input_shape["query_biases"])

    def get_config(self) -> dict:
        return super().get_config() | {"kernels": self.kernels, "steps": self.steps}


def _unit(vectors):
    return vectors / (ops.norm(vectors, axis=-1, keepdims=True) + 1e-3)
