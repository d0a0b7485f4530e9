"""Errors that only the API meets, as sentences in its one form of error answer."""

from __future__ import annotations

from apiflask.exceptions import HTTPError
from flask import jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from webui.api.blueprint import api
from webui.problems import Problem, problem_of


def answer(problem: Problem) -> ResponseReturnValue:
    """The answer to a problem: {"error": {"message": ..., "fields": {...}}}."""
    return jsonify({"error": {"message": problem.message, "fields": problem.fields}}), problem.status


@api.errorhandler(HTTPError)
def refused(error: HTTPError) -> ResponseReturnValue:
    """What APIFlask itself refuses."""
    return answer(Problem(error.status_code, str(error.message)))


@api.errorhandler(BadRequest)
def malformed(error: BadRequest) -> ResponseReturnValue:
    """A body that is no JSON at all."""
    # Flask hides what was wrong with the JSON, except from the chain of causes.
    if isinstance(error.__cause__, BadRequest):
        said = (error.__cause__.description or "").partition(": ")[2] or "empty"
        return answer(Problem(400, f"The body is not valid JSON ({said[:200]}); send an object such as {{}}."))
    return answer(problem_of(error))


@api.errorhandler(RecursionError)
def too_deep(_error: RecursionError) -> ResponseReturnValue:
    """JSON nested so deeply that reading it was given up."""
    return answer(Problem(400, "The body is nested too deeply to be read; send a flatter object."))
