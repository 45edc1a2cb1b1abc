"""The demo's job in Flower's simulation: `python flower_job.py DIABETES.CSV`, in Flower's own environment.

Ten clients with the demo's shards, seven rounds of FedAvg over all of them, a linear model on standardised
columns; nothing is encrypted and nobody is paid. As lean as possible: numpy alone, twenty steps of gradient
descent in a client and round. The last line of its output is the holdout's MSE after each round, as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from numpy.typing import NDArray

HOLDOUT_ROWS, MINES, ROUNDS = 42, 10, 7
STEPS, RATE = 20, 0.1
TABLE = sys.argv[1]  # clients run in processes with other arguments, to which this goes along
Array = NDArray[np.float64]

losses: list[float] = []


def standardised() -> tuple[Array, Array, float]:
    """All rows by the holdout's means and deviations, a column of ones, the target, and its deviation."""
    table = np.loadtxt(TABLE, delimiter=",", skiprows=1)
    held = table[:HOLDOUT_ROWS]
    scaled = (table - held.mean(axis=0)) / held.std(axis=0)
    return np.c_[scaled[:, :-1], np.ones(len(table))], scaled[:, -1], float(held[:, -1].std())


def train(message: Message, context: Context) -> Message:
    """Some steps of gradient descent on the client's own shard."""
    x, y, _ = standardised()
    mine = int(context.node_config["partition-id"])
    x, y = (np.array_split(values[HOLDOUT_ROWS:], MINES)[mine] for values in (x, y))
    (weights,) = message.content["arrays"].to_numpy_ndarrays()
    for _ in range(STEPS):
        weights = weights - RATE * x.T @ (x @ weights - y) / len(y)
    told = {"arrays": ArrayRecord([weights]), "metrics": MetricRecord({"num-examples": len(y)})}
    return Message(content=RecordDict(told), reply_to=message)


def main(grid: Grid, context: Context) -> None:
    """Seven rounds over all ten clients."""

    def evaluate(_round: int, arrays: ArrayRecord) -> MetricRecord:
        x, y, unit = standardised()
        (weights,) = arrays.to_numpy_ndarrays()
        errors = (x[:HOLDOUT_ROWS] @ weights - y[:HOLDOUT_ROWS]) * unit
        losses.append(float((errors**2).mean()))
        return MetricRecord({"mse": losses[-1]})

    strategy = FedAvg(
        fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=MINES, min_available_nodes=MINES
    )
    start = ArrayRecord([np.zeros(11)])
    strategy.start(grid=grid, initial_arrays=start, num_rounds=ROUNDS, evaluate_fn=evaluate)


client, server = ClientApp(), ServerApp()
client.train()(train)
server.main()(main)

if __name__ == "__main__":
    run_simulation(server, client, num_supernodes=MINES)
    print(json.dumps(losses))
