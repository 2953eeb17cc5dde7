"""One retraining cycle: mine, weigh, build, train, evaluate, gate, publish, experiment, promote."""
