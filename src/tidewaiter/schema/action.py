"""What a command or script does, as the reader understands it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ActionKind(StrEnum):
    """The labels of the `explain` contract and the finer ones that map onto them."""

    INGRESS = "ingress"  # content from another host reaches this one, as a file or in memory
    LATERAL = "lateral"  # this host places a file on another host
    UPLOAD = "upload"
    VERIFY_HASH = "verify_hash"
    PORTPROXY = "portproxy"
    PACKAGE = "package"  # install by name from the configured repository: benign by rule, kept for context
    REMOTE_EXECUTION = "remote_execution"
    BENIGN = "benign"


STRENGTH = (
    ActionKind.LATERAL,
    ActionKind.INGRESS,
    ActionKind.PORTPROXY,
    ActionKind.UPLOAD,
    ActionKind.VERIFY_HASH,
    ActionKind.REMOTE_EXECUTION,
    ActionKind.PACKAGE,
    ActionKind.BENIGN,
)
"""Strongest first: the first kind present labels the whole command."""


class Action(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One thing a command does. Strings are as spelled after unfolding."""

    kind: ActionKind
    utility: str  # name of the utility's TOML, or of the interpreter
    form: str = ""  # id of the form in that TOML
    urls: tuple[str, ...] = ()  # URL, user@host:path, UNC, host:port, s3://
    dest: str | None = None  # None: memory, standard output, unknown
    runs: bool = False  # the content is handed to an interpreter, loader or installer by the same command
    in_memory: bool = False
    confidence: int = 90  # 0..100
    techniques: tuple[str, ...] = ()
    file: str | None = None  # verify_hash: the file checked; lateral and upload: the file sent
    remote: str | None = None  # lateral and upload: the host it goes to
    notes: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One unfolding step, for a person to follow."""

    what: str  # "base64", "caret escapes", "variable %X%" ...
    text: str  # the text after the step, cut to a readable length


class Reading(msgspec.Struct, kw_only=True, frozen=True):
    """Everything the reader says of one command line or script."""

    actions: tuple[Action, ...] = ()
    steps: tuple[Step, ...] = ()
    limits: tuple[str, ...] = ()  # bounds that were hit, in words; each lowers confidence

    @property
    def strongest(self) -> Action | None:
        """The action that labels the command, or None where it does nothing of interest."""
        ranked = sorted(self.actions, key=lambda action: STRENGTH.index(action.kind))
        return ranked[0] if ranked else None

    @property
    def label(self) -> str:
        """The label of the `explain` contract."""
        best = self.strongest
        if best is None or best.kind in (ActionKind.PACKAGE, ActionKind.REMOTE_EXECUTION):
            return ActionKind.BENIGN.value
        return best.kind.value
