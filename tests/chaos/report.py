"""What a chaos run has shown, as text for people."""

from __future__ import annotations

from tests.chaos.faults import KILLS
from tests.chaos.run import Outcome


def kills_of(outcome: Outcome) -> int:
    """Kills in all."""
    return sum(count for kind, count in outcome.done.items() if kind in KILLS)


def faults_of(outcome: Outcome) -> dict[str, list[str]]:
    """Everything that is wrong; empty when the system has survived."""
    faults = dict(outcome.findings.faults())
    # A point takes time to write, and one that a full disk or a lost database refused is written a little later.
    late = [loss for loss in outcome.losses if loss.seconds > 2 * outcome.plan.resume_point_seconds + 15]
    if late:
        faults["trainings that lost more than a resume point"] = [str(loss) for loss in late]
    if outcome.backwards:
        faults["resume points that went backwards"] = outcome.backwards
    return faults


def text_of(outcome: Outcome) -> str:
    """The report."""
    plan, findings = outcome.plan, outcome.findings
    title = f"# Chaos on {plan.database}: seed {plan.seed}, {plan.users} users"
    times = f"{plan.seconds / 60:.1f} minutes of faults, {outcome.seconds / 60:.1f} in all"
    lines = [f"{title}, {times}", "", f"kills: {kills_of(outcome)}"]
    lines += [f"  {count:>5}  {kind}" for kind, count in sorted(outcome.done.items()) if kind in KILLS]
    lines.append("other faults:" + ("" if outcome.full_disk else " (no small disk could be mounted here)"))
    lines += [f"  {count:>5}  {kind}" for kind, count in sorted(outcome.done.items()) if kind not in KILLS]
    lines.append(f"found nothing to be done to: {sum(outcome.missed.values())}")
    lines.append("what was asked for, and what became of it:")
    lines += [f"  {count:>6}  {name}" for name, count in sorted(findings.counts.items())]
    lines += [f"  {count:>6}  {name}" for name, count in sorted(outcome.other.items())]
    lines.append("why jobs were tried again:")
    lines += [f"  {count:>5}  {reason[:160]}" for reason, count in outcome.reasons.most_common()]
    most = max(outcome.losses, key=lambda loss: loss.seconds, default=None)
    lines.append(f"trainings put back: {len(outcome.losses)}; the most that one lost: {most}")
    lines.append(f"everything had ended {outcome.drain_seconds:.0f} s after the last fault")
    for name in ("lost", "doubled", "wrong_bytes", "not_ended", "both_attempts", "rows_without_file"):
        lines.append(f"{name.replace('_', ' ')}: {len(getattr(findings, name))}")
    lines.append(f"files without row: {len(findings.files_without_row)}")
    for name, found in faults_of(outcome).items():
        lines += [f"FAULT: {name}", *(f"  {each}" for each in found[:40])]
    return "\n".join(lines) + "\n"
