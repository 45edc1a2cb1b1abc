"""What posting a bounty costs, how long it may take, and who learns what, before a wei is spent."""

from __future__ import annotations

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.covered import readers
from pysonar.bounty.expected import figures, noise_told, warnings
from pysonar.bounty.request import Bounty
from pysonar.bounty.study import Study
from pysonar.bounty.told import asking, offered
from pysonar.given import require_type
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.telling.amounts import format_amount
from sonar.telling.figures import heading, in_words, plain
from sonar.telling.text import span


def explain(bounty: AnyBounty, *, plan: bool = False) -> str:
    """Return the text, in sections: the summary first and, with `plan`, the slot plan last.

    Raises what deriving the bounty's model raises.
    """
    hint = "make one with Bounty.of, .example or .from_toml, or with Study.of or .from_toml"
    require_type(bounty, Bounty | Study, "bounty", hint)
    sections = asking.sections(bounty) if isinstance(bounty, Study) else _sections(bounty)
    if plan:
        sections["Slot plan"] = bounty.design.plan.explain().splitlines()
    return "\n".join(line for title, told in sections.items() for line in (title, *offered.lines(told)))


def _sections(bounty: AnyBounty) -> dict[str, list[str]]:
    """Of a bounty that trains a model."""
    assert isinstance(bounty, Bounty)
    return {
        "In short": _short(bounty),
        f"Bounty {bounty.settings.name!r}": _what(bounty),
        "Cost": offered.cost(bounty),
        "Time": offered.time(bounty),
        **noise_told(bounty),
        "Who learns what": _learned(bounty),
        "A mine needs": _needs(bounty),
    }


def _short(bounty: Bounty) -> list[str]:
    """The summary, for people who read no further."""
    terms = bounty.offer.terms
    windows_s = terms.commit_window_s + terms.reveal_window_s + terms.settle_window_s
    return [
        f"you put {offered.amount(bounty, terms.escrow_units)} into escrow; what mines do not earn comes "
        "back to you",
        f"{offered.mines(terms)} mines train {bounty.design.spec.weights} weights; at most "
        f"{terms.rounds} rounds of at most {span(windows_s)} each",
        f"the model starts at {in_words(bounty.design.holdout.told(bounty.design.start_weights))}",
        f"the target is {figures(bounty, bounty.target_loss)}",
        *warnings(bounty),
        f"keep this program running: being away for {span(terms.settle_window_s)} when a round is to be "
        f"settled costs up to {format_amount(terms.overdue_at(terms.initial_loss), bounty.offer.unit)}",
    ]


def _what(bounty: Bounty) -> list[str]:
    terms, allowed = bounty.offer.terms, bounty.offer.allowed
    spec, names = bounty.design.spec, ", ".join(map(repr, bounty.targets))
    return [
        f"predict {names} from {len(spec.features)} columns: {', '.join(spec.features)}",
        f"feature map: {spec.words}",
        f"{spec.loss} loss on {bounty.held_out.rows} held-out rows",
        *_dropped(bounty),
        *_start(bounty),
        f"ends at {_goal(bounty)}, or after {terms.rounds} rounds{_patience(bounty)}",
        "on the chain, losses are in millionths of the null model's: it starts at "
        f"{terms.initial_loss:,} and ends at {terms.target_loss:,}; the reward is paid in proportion",
        *_surrogate(bounty),
        f"optimiser: {bounty.settings.optimiser.kind}",
        f"open to {len(allowed)} mines by name" if allowed else offered.OPEN,
    ]


def _dropped(bounty: Bounty) -> list[str]:
    """Which columns of the holdout are left out, and why."""
    left = bounty.held_out.dropped
    return [f"left out: {'; '.join(f'{name!r} {why}' for name, why in left.items())}"] if left else []


def _patience(bounty: Bounty) -> str:
    """When it ends because nothing gets better."""
    rounds, gain = bounty.settings.patience, bounty.settings.least_gain
    if not rounds or rounds >= bounty.offer.terms.rounds:
        return ""
    return f"; or once {rounds} rounds have brought less than {gain:.2%} of the null model's loss (patience)"


def _start(bounty: Bounty) -> list[str]:
    """Where the model begins, and what that means for mines' pay."""
    figures = in_words(bounty.design.holdout.told(bounty.design.start_weights))
    if bounty.start is not None:
        return [f"starts from your own model: {figures}; only improvement on it is paid"]
    return [
        f"starts at zero weights, which are the null model: it predicts {_said_by_null(bounty)} of your "
        f"held-out rows, whatever the columns are; {figures}",
        "so a mine that knows no more than that earns nothing: only improvement is paid",
    ]


def _said_by_null(bounty: Bounty) -> str:
    spec = bounty.design.spec
    if spec.labels is not None:
        often = [(1 + target.centre) / 2 for target in spec.targets]
        often = [1 - often[0], *often] if len(often) == 1 else often
        each = zip(spec.labels.levels, often, strict=True)
        return "how often each class is, " + ", ".join(f"{level!r} {part:.1%}" for level, part in each)
    if LOSSES[spec.loss].labels:
        return "how often each label is, " + ", ".join(f"{(1 + t.centre) / 2:.1%}" for t in spec.targets)
    return ", ".join(plain(target.centre, 6) for target in spec.targets) + ", the mean"


def _goal(bounty: Bounty) -> str:
    holdout, metric = bounty.design.holdout, bounty.metric
    goal, best = figures(bounty, bounty.target_loss), holdout.floor(metric)
    if not bounty.settings.target:
        return f"{goal} (the best that weights of this map can reach here)"
    if bounty.target_loss >= best:
        return goal
    reached = figures(bounty, best)
    if holdout.metrics[metric].exact:
        return f"{goal} (out of reach: the best weights of this map have {reached} here)"
    return f"{goal} (hard to reach: the best weights of this map have about {reached} here)"


def _surrogate(bounty: Bounty) -> list[str]:
    """Say what decides the shares, if it differs from what decides the reward."""
    if bounty.design.holdout.metrics[bounty.metric].exact:
        return []
    return [
        f"the reward of a round goes by {heading(bounty.metric)}; it is shared by what each mine did for the "
        "quadratic loss that is trained, which is close to it"
    ]


def _learned(bounty: Bounty) -> list[str]:
    terms = bounty.offer.terms
    return [
        f"you: the weights; per round one weighted sum over at least {terms.min_mines} updates, which after "
        f"about {bounty.rounds_to_all} rounds gives the pooled sums of A and b in full; for each mine a "
        "score of 16 bits per round, and which test it failed",
        *_of_products(bounty),
        "you do not learn single rows, as long as the pooled sums isolate none",
        *readers(bounty),
        "each mine: ciphertexts, its own data, and what public losses and shares imply",
        "other mines: the same; nothing of another's A and b",
        f"nobody can check a mine's row count; so {_weights(bounty)} (weight_rows)",
        *_published(bounty),
    ]


def _weights(bounty: Bounty) -> str:
    most = bounty.design.plan.weight_rows
    if most <= bounty.design.spec.rows_min:
        return "all answers weigh the same"
    return f"an answer weighs as much as its rows, and at most {most}"


def _published(bounty: Bounty) -> list[str]:
    rows, tells = bounty.held_out.rows, _tells(bounty)
    return [
        "everybody: the terms, column names, row counts, losses, shares and payments; and the mean and "
        f"deviation of each column of your holdout, targets included{tells}",
        f"these say where your {rows} rows lie, and how far apart; anyone who knows {rows - 1} of them "
        "learns the last",
    ]


def _tells(bounty: Bounty) -> str:
    """What else the map publishes; a map that came with the start has that in its own stages."""
    if bounty.start is None:
        return bounty.settings.feature_map.tells
    return ", or of the rows that your model was made with"


def _of_products(bounty: Bounty) -> list[str]:
    """What the sums are over, if not over the columns themselves."""
    spec = bounty.design.spec
    told = [f"A and b are sums over rows of {stage.sums}" for stage in spec.stages if stage.mixes]
    if told:
        return [*told, *_of_leaves(spec)]
    most = 2 * spec.degree
    if most == 2:
        return []
    return [
        f"A and b are sums over rows of products of up to {most} columns; of columns of 0 and 1 these count "
        f"the rows that have {most} of them at once"
    ]


def _of_leaves(spec: QuadraticSpec) -> list[str]:
    """Say what leaves are, by the first."""
    if not any(stage.leads for stage in spec.stages):
        return []
    leaves = spec.names[len(spec.features) : -1]
    return [f"a leaf is a column of 0 and 1: the first of {len(leaves)} is 1 in rows where {leaves[0]}"]


def _needs(bounty: Bounty) -> list[str]:
    spec, train_s = bounty.design.spec, bounty.offer.train_s
    degree, names = spec.degree, ", ".join(map(repr, bounty.targets))
    lines = [
        f"a table with these columns and {names}, {max(spec.rows_min, spec.least_rows)} rows at least",
        *_targets(bounty),
    ]
    if bounty.settings.privacy is None:
        lines.append("of a column of 0 and 1, five rows of each")
    if any(stage.leads for stage in spec.stages) and bounty.settings.privacy is None:
        lines.append(
            "of each leaf, five rows in it and five out of it; and two leaves differ in five, or none"
        )
    if degree > 1 and bounty.settings.privacy is None:
        lines.append(f"of up to {degree} columns of 0 and 1, five rows of each combination that occurs")
    if train_s >= 1:
        lines.append(f"about {train_s:.0f} s on one core for an update; by default, mines take up to 60")
    return lines


def _targets(bounty: Bounty) -> list[str]:
    spec = bounty.design.spec
    if spec.labels is not None:
        told = ", ".join(map(repr, spec.labels.levels))
        return [
            f"in {spec.labels.name!r} one of {told}, as written here, in each row; five rows or none of each"
        ]
    if labels := LOSSES[spec.loss].labels:
        return [f"labels {' and '.join(f'{label:g}' for label in labels)} as targets"]
    ends = ((each, each.clip * each.scale) for each in spec.targets)
    return [
        f"{target.name!r} in your unit: values below {plain(target.centre - room, 6)} or above "
        f"{plain(target.centre + room, 6)} are cut off there; most rows lie within"
        for target, room in ends
    ]
