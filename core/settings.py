"""Where this installation keeps its things and how its parts find each other.

One explicit object, read from `CADENZA_*` environment variables (or a `.env` file), handed to whatever needs it.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

# A unix socket's path is limited to 104 bytes on macOS and 108 on Linux, the closing zero included.
_LONGEST_SOCKET_PATH = 100


class Settings(BaseSettings):
    """Installation settings; every field can be set as `CADENZA_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="CADENZA_", env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default_factory=lambda: user_data_path("cadenza"), description="Folder of all data.")
    database_url: str = Field(default="", description="SQLAlchemy URL; SQLite in the data folder when empty.")
    broker_url: str = Field(default="", description="Redis/Valkey URL; the launcher's own Valkey when empty.")
    artifacts_url: str = Field(default="", description="fsspec URL of the artifact store; a local folder when empty.")
    host: str = Field(default="127.0.0.1", description="Address the web server listens on (loopback only).")
    port: int = Field(default=8420, ge=0, le=65535, description="Port; 0 or a taken one means any free port.")
    web_processes: int = Field(default=1, ge=1, le=64, description="Processes of the web server.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = Field(default="text", description="Logs for people, or a JSON object a line.")
    metrics_token: SecretStr = Field(default=SecretStr(""), description="Bearer token that /metrics asks for.")
    upload_limit_bytes: int = Field(default=512 * 2**20, description="Largest request body that is accepted.")
    retention_days: int = Field(default=0, ge=0, description="Days until takes that nobody kept go; 0 keeps all.")
    wait_for_tables_seconds: float = Field(default=60.0, ge=0, description="Wait for an upgrade of the database.")
    beat_seconds: float = Field(default=1.0, gt=0, description="How often a running unit beats and shows progress.")
    training_gpus: Literal["apart", "together"] = Field(
        default="apart", description="Of `cadenza up`: a training on each GPU, or one at a time on all of them."
    )
    lost_after_seconds: float = Field(default=12.0, gt=0, description="Silence after which a unit is given to others.")
    cancel_grace_seconds: float = Field(default=8.0, gt=0, description="Time to stop before the process is replaced.")
    resume_point_seconds: float = Field(default=45.0, gt=0, description="Longest time between two resume points.")
    yield_after_seconds: float = Field(
        default=1800.0, ge=0, description="Wait of another owner's job after which a training yields; 0 for never."
    )
    public_url: str = Field(
        default="", description="Address by which people open Cadenza, such as https://cadenza.lan."
    )
    proxies_count: int = Field(default=0, ge=0, le=9, description="Proxies in front, whose X-Forwarded-* are believed.")
    others_jobs: Literal["full", "someone"] = Field(default="full", description="How others' jobs are shown to people.")
    sign_in_idle_hours: float = Field(default=12.0, gt=0, description="Time without use after which a sign-in ends.")
    sign_ins_per_minute: int = Field(default=10, ge=1, description="Attempts to sign in from one address, and by name.")
    submissions_per_minute: int = Field(default=240, ge=1, description="Changing requests of one person.")
    uploads_limit_files: int = Field(default=20_000, ge=1, description="Files of one person that wait to be used.")
    uploads_limit_total_bytes: int = Field(default=32 * 2**30, ge=1, description="Bytes of one person's waiting files.")
    slow_request_seconds: float = Field(default=20.0, gt=0, description="Time in which a request's head must arrive.")
    internal_downloads: bool = Field(default=False, description="With accounts: imports may read internal addresses.")
    internal_webhooks: bool = Field(default=False, description="With accounts: webhooks may have internal addresses.")
    smtp_host: str = Field(default="", description="Server that sends e-mails; none are sent when empty.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="How it is encrypted.")
    smtp_user: str = Field(default="", description="Name to sign in to it with; empty to send without.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Password of that name.")
    smtp_from: str = Field(default="cadenza@localhost", description="Address that e-mails come from.")
    oidc_issuer: str = Field(default="", description="Address of an OpenID provider through which people sign in.")
    oidc_client_id: str = Field(default="", description="What the provider calls this installation.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="What the provider gave to it.")
    oidc_label: str = Field(default="single sign-on", description="What the button on the sign-in page calls it.")
    oidc_new_role: Literal["none", "viewer", "member"] = Field(
        default="member", description="Role of those who come through the provider for the first time."
    )
    attempts_limit: int = Field(default=3, ge=1, description="Attempts without progress before a unit fails.")

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'cadenza.sqlite'}"

    @property
    def resolved_broker_url(self) -> str:
        """The broker's URL, with the embedded Valkey's unix socket filled in."""
        return self.broker_url or f"redis+socket://{quote(str(self.valkey_socket))}"

    @property
    def resolved_artifacts_url(self) -> str:
        """The artifact store's URL, with the local folder filled in."""
        return self.artifacts_url or (self.data_dir.absolute() / "artifacts").as_uri()

    @property
    def is_behind_tls(self) -> bool:
        """Whether people reach it over HTTPS, so that cookies may be bound to that."""
        return self.public_url.startswith("https://")

    @property
    def run_dir(self) -> Path:
        """Folder of what lives only while the system runs: sockets, the address file, the supervisor's files."""
        return self.data_dir.absolute() / "run"

    @property
    def log_dir(self) -> Path:
        """Folder of the parts' log files."""
        return self.data_dir.absolute() / "logs"

    @property
    def valkey_socket(self) -> Path:
        """Unix socket of the embedded Valkey; a short path in the temporary folder where the usual one is too long."""
        usual = self.run_dir / "valkey.sock"
        if len(str(usual).encode()) <= _LONGEST_SOCKET_PATH:
            return usual
        digest = hashlib.sha256(str(usual).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"cadenza-{digest}" / "valkey.sock"
