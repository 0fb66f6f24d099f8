"""Found, missed, early, late, false: incidents against labels."""

from pipeline.evaluate.evaluation import Evaluation, FalseIncident, LabelResult
from pipeline.evaluate.judge import evaluate
from pipeline.evaluate.labels import Label, Labels, parse_labels, read_incidents, read_labels

__all__ = [
    "Evaluation",
    "FalseIncident",
    "Label",
    "LabelResult",
    "Labels",
    "evaluate",
    "parse_labels",
    "read_incidents",
    "read_labels",
]
