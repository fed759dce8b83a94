"""What training lowers: the task's own loss, and the distance to a teacher's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadData, BadPlan

if TYPE_CHECKING:
    from torch import Tensor

    from .answers import Top


LEAST = 1e-6  # of the teacher's probability: a smaller rest is rounding


def distilled(task: str, teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """One value a row: T² KL(teacher ‖ student) of distributions softened by T, in nats, or 1 - cosine of embeddings (Hinton et al. 2015).

    `teacher` holds log-probabilities (rows, classes) or normalised embeddings, `student` logits or embeddings of the same rows. T² keeps
    the gradient's size; its slope by a logit is T (p_student - p_teacher)."""
    import torch

    if task == "encoder":
        return 1 - (teacher * student).sum(-1)
    before, after = (torch.log_softmax(x / temperature, -1) for x in (teacher, student))
    return temperature**2 * (before.exp() * (before - after)).sum(-1)


def likeliest(teacher: Top, student: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL a row over the teacher's kept classes and all others taken together as one, at the temperature they were kept at."""
    import torch

    after = torch.log_softmax(student / temperature, -1)
    kept = after.gather(-1, teacher.places)
    rest = after.scatter(-1, teacher.places, -torch.inf).logsumexp(-1)
    left = (1 - teacher.values.exp().sum(-1)).clamp(min=0)
    total = (teacher.values.exp() * (teacher.values - kept)).sum(-1)
    some = left > LEAST
    total = total + torch.where(some, left * (left.clamp(min=LEAST).log() - rest.where(some, 0.0)), 0.0)
    return temperature**2 * total


def told(task: str, rows: Tensor, item: dict[str, Tensor]) -> Tensor:
    """One value a row: the cross-entropy of the next token or of the label, in nats; BadData for a label the network has no answer for."""
    from torch.nn.functional import cross_entropy

    if task == "encoder":
        raise BadPlan("An encoder has no task of its own here; distil it from the original instead")
    aim = item["input_ids"][0, 1:] if task == "causal-lm" else item.get("labels")
    if aim is None:
        raise BadData("These images come without labels; give labelled ones, or distil from the original")
    if not 0 <= int(aim.min()) <= int(aim.max()) < rows.shape[-1]:
        raise BadData(f"A label lies outside 0 to {rows.shape[-1] - 1}, the classes this network knows; mend the training data")
    return cross_entropy(rows, aim.long(), reduction="none")


def mixed(
    task: str, teacher: Tensor | Top | None, rows: Tensor, item: dict[str, Tensor], share: float, temperature: float
) -> tuple[Tensor, dict[str, float]]:
    """(1 - λ)·task + λ·T²·KL(teacher ‖ student), means over the rows, with both terms for the chart; a term of weight 0 is not computed."""
    import torch

    terms = {}
    if share < 1:
        terms["task"] = told(task, rows, item).mean()
    if share > 0 and teacher is not None:
        if isinstance(teacher, torch.Tensor):
            terms["teacher"] = distilled(task, teacher, rows, temperature).mean()
        else:
            terms["teacher"] = likeliest(teacher, rows, temperature).mean()
    weight = {"task": 1 - share, "teacher": share}
    total = sum((weight[k] * v for k, v in terms.items()), rows.new_zeros(()))
    return total, {k: float(v.detach()) for k, v in terms.items()}
