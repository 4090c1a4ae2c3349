"""Cmdlets that look names up and set them: variables, the environment, aliases, commands and members."""

from __future__ import annotations

from tidewaiter.reading.powershell_calls import Bound, Calls
from tidewaiter.reading.powershell_nodes import Command
from tidewaiter.reading.powershell_operators import unknown
from tidewaiter.reading.powershell_text import wildcard
from tidewaiter.reading.powershell_values import Instance, MethodRef, Value, is_known, to_list, to_text


class Drives(Calls):
    """The drives `variable:`, `env:`, `function:` and `alias:`, and what is asked about names."""

    def set_variable(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Set-Variable, New-Variable."""
        value = bound.take("value", 0 if "name" in bound.named else 1)
        if value is None and piped:
            value = piped[0] if len(piped) == 1 else piped
        for name in to_list(bound.take("name")):
            self.assign(to_text(name).lower(), value)
        return [] if "passthru" not in bound.named else [value]

    def get_variable(self, bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Get-Variable by name or pattern."""
        pattern = to_text(bound.take("name")).lower() or "*"
        found = self.variables_like(pattern)
        if "valueonly" in bound.named:
            return [item.fields["value"] for item in found]
        return list(found)

    def variables_like(self, pattern: str) -> list[Instance]:
        """Variables whose name fits a pattern, as objects with name and value."""
        defaults = self.knowledge.variables
        if any(mark in pattern for mark in "*?["):
            names = [name for name in (*self.variables, *defaults.spelled) if ":" not in name and wildcard(pattern, name)]
        else:
            names = [pattern]
        return [
            Instance("variable", "$" + name, {"name": defaults.spelled.get(name, name), "value": self.lookup(name, "$" + name)})
            for name in dict.fromkeys(names)
        ]

    def set_item(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Set-Item on a variable; other drives are left to be recorded."""
        drive, colon, name = to_text(bound.take("path")).lower().partition(":")
        if not colon or drive not in ("variable", "env", "function", "alias"):
            return None
        value = bound.take("value", 0 if "path" in bound.named else 1)
        if value is None and piped:
            value = piped[0]
        name = name.strip("\\/")
        if drive == "alias":
            self.aliases[name] = to_text(value).lower()
        else:
            self.assign(name if drive == "variable" else f"{drive}:{name}", value)
        return []

    def get_item(self, bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Get-Item and Get-ChildItem on variables and the environment; other drives are left to be recorded."""
        drive, colon, name = to_text(bound.take("path")).lower().partition(":")
        name = name.strip("\\/")
        if not colon or drive not in ("variable", "env", "alias"):
            return None
        if drive == "variable":
            return list(self.variables_like(name or "*"))
        if drive == "alias":
            return [self.knowledge.aliases.get(name, name)]
        known = self.knowledge.variables.opaque
        names = [key for key in (*self.variables, *known) if key.startswith("env:") and wildcard(f"env:{name or '*'}", key)]
        names = names or [f"env:{name}"]
        return [Instance("variable", "$" + key, {"name": key[4:], "value": self.lookup(key, "$" + key)}) for key in names]

    def set_alias(self, bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Set-Alias, New-Alias."""
        name, value = bound.take("name"), bound.take("value", 0 if "name" in bound.named else 1)
        if is_known(name) and is_known(value):
            self.aliases[to_text(name).lower()] = to_text(value).lower()
        return []

    def get_alias(self, bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Get-Alias by name or definition."""
        definition = bound.named.get("definition")
        if definition is not None:
            return [to_text(definition)]
        pattern = to_text(bound.take("name")).lower()
        return [
            full
            for name, full in self.knowledge.aliases.items()
            if name == pattern or ("*" in pattern and wildcard(pattern, name))
        ]

    def get_command(self, bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Get-Command: a name by pattern."""
        if "name" not in bound.named and not bound.positional:
            return None
        return [self.command_by_pattern(to_text(bound.take("name")))]

    def get_member(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Get-Member on an object whose members are known."""
        item = (piped or [bound.named.get("inputobject")])[0]
        known = self.knowledge.types.members.get(item.type) if type(item) is Instance else None
        if known is None:
            return [unknown(item)]
        pattern = to_text(bound.take("name")) or "*"
        return [MethodRef(item, name) for name in known if wildcard(pattern, name)]
