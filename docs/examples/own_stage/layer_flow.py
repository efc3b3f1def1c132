"""A stage that is not lcrp's own: through which layers the relevance of decisions flows."""

import csv
from pathlib import Path

from lcrp.decisions.subject import Subject
from lcrp.runs.run import Run


def layer_flow(*, subject: Subject, run: Run, layers: list[str], num_pictures: int) -> Path:
    """Of every decision about the first pictures, the relevance that passes through each layer; the seed is 1."""
    explainer, dataset = subject.explainer, subject.dataset
    path = run.folder / "layer_flow.csv"
    count = min(num_pictures, len(dataset))
    with (
        path.open("w", newline="", encoding="utf-8") as file,
        explainer.attributor(layers) as attributor,
        run.progress(count, "layer_flow", "pictures") as progress,
    ):
        table = csv.writer(file)
        table.writerow(["picture", "class", "confidence", *layers])
        for sample in map(dataset.__getitem__, range(count)):
            trace = attributor.forward(sample.image[None])
            (prediction,) = explainer.task.predictions(trace.output)
            decisions, _ = explainer.task.predicted_targets(prediction, sample)
            for decision in decisions:
                maps = trace.explain([decision]).relevance  # of every layer: [1, C, h, w]
                shares = [f"{maps[layer].sum().item():.4f}" for layer in layers]
                class_name = explainer.class_names[decision.target.class_id]
                table.writerow([sample.key, class_name, f"{decision.confidence:.2f}", *shares])
            progress.advance()
    return path
