"""`tidewaiter watch`: the records while they happen."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode


@click.command(name="watch", short_help="Write the records while they happen, from logs that grow.")
@click.argument("paths", nargs=-1, metavar="[CONFIG|PATH...]")
@click.option(
    "--store", "place", metavar="FILE|URL", help="Keep transfers and state there. [default: watch.db in the state folder]"
)
@click.option("--state", "state", type=click.Path(file_okay=False), help="Folder for what inputs and sinks must keep.")
@click.option("--from-end", is_flag=True, help="Leave out what stands in the files already.")
@click.option("--once", is_flag=True, help="Stop when everything that there is has been read.")
@click.option("--status", "only_status", is_flag=True, help="Say how the watch of this state folder is doing, and stop.")
@click.option("--metrics", metavar="ADDRESS:PORT", help="Prometheus endpoint on loopback, such as 127.0.0.1:9479.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Reading processes.")
@click.option("--internal", multiple=True, metavar="CIDR", help="A network that is inside; again for more.")
@click.option(
    "--policy", "policies", multiple=True, type=click.Path(dir_okay=False), help="Apply this policy to what sinks get."
)
@click.option("--user", help="Take this user's rights, where started with those of root.")
def command(
    paths: tuple[str, ...],
    place: str | None,
    state: str | None,
    from_end: bool,
    once: bool,
    only_status: bool,
    metrics: str | None,
    jobs: int | None,
    internal: tuple[str, ...],
    policies: tuple[str, ...],
    user: str | None,
) -> int:
    """Follow logs and say what is brought in, while it happens.

    CONFIG is a TOML file with [[input]] and [[sink]] tables; PATHs are files, patterns and folders to follow, `-` is standard
    input. Records go to the store and to the sinks; without a [[sink]] they are shown on the terminal. A watch that was
    stopped or killed goes on where it was, and loses and repeats nothing.
    """
    from tidewaiter.cli import watch_page

    given = {
        "store": place,
        "state": state,
        "metrics": metrics,
        "jobs": jobs,
        "internal": list(internal),
        "policies": list(policies),
        "user": user,
    }
    if only_status:
        return watch_page.show_status(paths, given)
    return ExitCode.OK if watch_page.run(paths, given, from_end=from_end, once=once) else ExitCode.FAILED
