"""Signing in through an OpenID provider, by Authlib: authorization code with PKCE, state and nonce."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import AccessError, SignInError
from core.models.people import Person
from core.people.accounts import RESERVED_NAMES, accounts_are_on, add_person
from core.settings import Settings
from webui.context import current_services

_KEY = "cadenza.provider"
_SECONDS = 10


def attach_provider(app: Flask, settings: Settings) -> None:
    """Prepare the provider of the settings, if there is one; it is asked nothing before somebody signs in."""
    if not settings.oidc_issuer:
        return
    from authlib.integrations.flask_client import OAuth  # takes a third of a second, which most installations save

    secret = settings.oidc_client_secret.get_secret_value()
    issuer = settings.oidc_issuer.rstrip("/")
    client = OAuth(app).register(
        "provider",
        client_id=settings.oidc_client_id,
        client_secret=secret or None,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "timeout": _SECONDS,
            "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
        },
    )
    app.extensions[_KEY] = client


def has_provider() -> bool:
    """Whether people can sign in through a provider."""
    return _KEY in current_app.extensions


def go_to_provider(come_back_to: str) -> ResponseReturnValue:
    """Send the browser to the provider, which sends it back to `come_back_to`.

    Raises:
        SignInError: the provider does not answer.
    """
    from authlib.integrations.base_client.errors import OAuthError

    try:
        answer: ResponseReturnValue = current_app.extensions[_KEY].authorize_redirect(come_back_to)
    except (OAuthError, OSError, ValueError, RuntimeError) as error:
        raise _unreachable(error) from error
    return answer


def claims_of_provider() -> Mapping[str, Any]:
    """What the provider says about the one who comes back, its signature, audience, time and nonce checked.

    Raises:
        SignInError: it was refused there, or what it says cannot be believed.
    """
    from authlib.integrations.base_client.errors import OAuthError

    client = current_app.extensions[_KEY]
    try:
        token: Mapping[str, Any] = client.authorize_access_token()
    except OAuthError as error:
        said = (error.description or error.error or "no reason")[:200]
        raise SignInError(f"The provider did not sign you in: {said}. Begin again.") from error
    except Exception as error:  # what its libraries raise about a forged or damaged token has no common base
        raise _unreachable(error) from error
    claims: Mapping[str, Any] = token.get("userinfo") or {}
    if not claims.get("sub"):
        raise SignInError("The provider did not say who you are; its answer has no ID token. Ask an administrator.")
    return claims


def person_of_claims(session: Session, claims: Mapping[str, Any]) -> Person:
    """The person whom a provider's claims describe; added when this is the first time.

    Nobody becomes somebody who is here already by having the same name or e-mail address.

    Raises:
        AccessError: newcomers are not let in.
        SignInError: the account is disabled.
    """
    settings = current_services().settings
    subject = f"{claims.get('iss', settings.oidc_issuer)}|{claims['sub']}"[:500]
    person = session.scalar(select(Person).where(Person.subject == subject))
    if person is not None:
        return person
    if settings.oidc_new_role == "none" or not accounts_are_on(session):
        raise AccessError("You have no account here; ask an administrator to add you.")
    return add_person(
        session,
        name=_free_name(session, claims),
        role=settings.oidc_new_role,
        display_name=str(claims.get("name") or "")[:120],
        email=_email(claims),
        subject=subject,
    )


def _free_name(session: Session, claims: Mapping[str, Any]) -> str:
    wanted = str(claims.get("preferred_username") or claims.get("email") or claims.get("name") or "person")
    base = re.sub(r"[^a-z0-9._@-]+", "-", wanted.lower())[:56].strip("._@-") or "person"
    taken = set(session.scalars(select(Person.name).where(Person.name.startswith(base, autoescape=True))))
    taken |= RESERVED_NAMES
    return next(name for name in (base, *(f"{base}-{count}" for count in range(2, 10_000))) if name not in taken)


def _email(claims: Mapping[str, Any]) -> str:
    email = str(claims.get("email") or "")
    # One that the provider has not checked could be anybody's, and notifications would go there.
    return email if claims.get("email_verified", False) and re.fullmatch(r"[^@\s]+@[^@\s]+", email) else ""


def _unreachable(error: Exception) -> SignInError:
    current_app.logger.warning("the OpenID provider cannot be used: %s: %s", type(error).__name__, error)
    return SignInError("The provider cannot be used just now; try again, or sign in with a password.")
