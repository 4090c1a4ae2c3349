"""What does this command or script DO? Constants are evaluated, within bounds; nothing is ever executed.

A shell module (bash, cmd, powershell) turns text into a `Script`: the programs it starts, with unfolded arguments and with
where each one's output goes. `argv` matches one program's arguments against the grammar in its TOML. `flow` follows content
from the program that fetched it to the file, interpreter or host that it reaches. `reader.read` drives them all.
"""
