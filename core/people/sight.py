"""What one sees of others' work, decided where rows are read, so that no page, list, count or search can forget it.

Datasets and models are everybody's. Where the installation does not show others' work in full, others' generations,
takes and trainings are not there at all, and others' jobs are rows without words: "someone's job". Uploads are always
their owner's alone. It holds for sessions that only look; whoever decides something must see all rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.orm.attributes import set_committed_value

from core.models.generations import Generation, Take
from core.models.jobs import Job, JobLog
from core.models.trainings import Training, TrainingPoint
from core.models.uploads import Upload
from core.people.rights import Actor, Right

SOMEONE = "someone"
SOMEONES_JOB = "Someone's job"
_SIGHT = "sight"


def limit_sight(session: Session, actor: Actor) -> None:
    """Let a session that only looks see what `actor` may see."""
    if not actor.may(Right.CHANGE_OTHERS):
        session.info[_SIGHT] = actor


def sight_of(session: Session) -> Actor | None:
    """The one who sees others' jobs without words in this session; None where all is shown."""
    actor: Actor | None = session.info.get(_SIGHT)
    return None if actor is None or actor.sees_all else actor


def _add_criteria(state: ORMExecuteState) -> None:
    actor: Actor | None = state.session.info.get(_SIGHT)
    if actor is None or not state.is_select or state.is_column_load or state.is_relationship_load:
        return
    options: list[Any] = [with_loader_criteria(Upload, Upload.owner == actor.name)]
    if not actor.sees_all:
        mine = select(Generation.id).where(Generation.owner == actor.name)
        own_trainings = select(Training.id).where(Training.owner == actor.name)
        own_jobs = select(Job.id).where(Job.owner == actor.name)
        options += [
            with_loader_criteria(Generation, Generation.owner == actor.name),
            with_loader_criteria(Take, Take.generation_id.in_(mine)),
            with_loader_criteria(Training, Training.owner == actor.name),
            with_loader_criteria(TrainingPoint, TrainingPoint.training_id.in_(own_trainings)),
            with_loader_criteria(JobLog, JobLog.job_id.in_(own_jobs)),
        ]
    state.statement = state.statement.options(*options)


def _take_words_away(job: Job, context: Any, *_more: Any) -> None:
    actor = sight_of(context.session)
    if actor is None or job.owner == actor.name:
        return
    wordless: dict[str, Any] = {
        "title": SOMEONES_JOB,
        "owner": SOMEONE,
        "request": {},
        "live": {},
        "phase": "",
        "error": "",
        "error_trace": "",
        "retry_of_id": None,
    }
    for name, value in wordless.items():
        set_committed_value(job, name, value)


event.listen(Session, "do_orm_execute", _add_criteria)
event.listen(Job, "load", _take_words_away)
event.listen(Job, "refresh", _take_words_away)
