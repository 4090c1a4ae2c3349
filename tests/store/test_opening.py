"""Opening a store: versions, strangers' databases, and what is said where it cannot be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from store_writer import made
from tidewaiter.errors import StoreError, UsageError
from tidewaiter.store import migrations, tables
from tidewaiter.store.connection import Database, store_url
from tidewaiter.store.store import open_store


def shape(connection: sa.Connection) -> dict[str, dict[str, tuple[str, bool]]]:
    """Tables with their columns: kind and whether empty is allowed."""
    found = sa.inspect(connection)
    return {
        name: {column["name"]: (str(column["type"]), bool(column["nullable"])) for column in found.get_columns(name)}
        for name in found.get_table_names()
    }


def test_the_migrations_lead_to_the_tables_that_the_program_uses(place: str) -> None:
    open_store(place).close()
    database = Database(place, create=False)
    with database.writing() as connection:
        migrated = shape(connection)
        indexes = {name: {one["name"] for one in sa.inspect(connection).get_indexes(name)} for name in migrated}
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
        declared = shape(connection)
    database.close()

    assert migrated == declared
    assert {one.name for table in tables.metadata.tables.values() for one in table.indexes} <= set().union(*indexes.values())


def test_a_store_of_version_1_is_brought_up_with_all_it_holds(place: str) -> None:
    old = Database(place, create=True)
    with old.writing() as connection:
        assert migrations.migrate(connection, upto=1) == 1
        assert not sa.inspect(connection).has_table("baseline_counter")
        values = {"id": "aaaa0001", "severity": 1, "score": 30, "stages": 1, "added_at": 1, "updated_at": 1}
        connection.execute(tables.transfer.insert(), {**values, "record": tables_json()})
        said = {"transfer_id": "aaaa0001", "verdict": "benign", "note": "", "by": "", "at": 1}
        connection.execute(tables.verdict.insert(), said)
    old.close()
    with open_store(place, create=False) as store:
        (found,) = store.transfers()
        assert (found.id, found.verdict) == ("aaaa0001", store.verdicts("aaaa0001")[0])
        assert store.history.empty
        with store.database.reading() as connection:
            assert migrations.current(connection) == migrations.NEWEST >= 2


def tables_json() -> str:
    import msgspec

    return msgspec.json.encode(made()).decode()


def test_a_store_of_a_later_release_is_left_alone(place: str) -> None:
    open_store(place).close()
    database = Database(place, create=False)
    with database.writing() as connection:
        connection.execute(tables.version.insert(), {"version": 999, "applied_at": 0})
    database.close()

    with pytest.raises(StoreError, match="later release"):
        open_store(place)


def test_a_database_with_tables_of_somebody_else_is_left_alone(place: str) -> None:
    database = Database(place, create=True)
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE transfer (money INTEGER)"))
    database.close()

    with pytest.raises(StoreError, match="not ours"):
        open_store(place)


def test_an_empty_database_is_no_store_to_read(place: str) -> None:
    Path(place).touch() if "://" not in place else None

    with pytest.raises(UsageError, match="there is no store"):
        open_store(place, create=False)


def test_many_may_make_a_store_at_once(place: str) -> None:
    failed: list[BaseException] = []

    def make() -> None:
        try:
            open_store(place).close()
        except BaseException as error:  # noqa: BLE001 - a thread's error is shown by the test
            failed.append(error)

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    assert failed == []


def test_a_failed_transaction_leaves_nothing(place: str) -> None:
    with open_store(place) as store:
        with pytest.raises(RuntimeError), store.database.writing() as connection:
            connection.execute(tables.baseline_setting.insert(), {"name": "half_life", "value": 1.0})
            raise RuntimeError
        assert store.history.half_life == 30.0


def test_a_file_that_is_no_database_is_told_apart(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text("type=SYSCALL msg=audit(1767348000.000:1): arch=c000003e\n" * 100)

    with pytest.raises(StoreError, match="not a database"):
        open_store(str(log))
    assert log.read_text().startswith("type=SYSCALL")


def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="an extra")

    with pytest.raises(StoreError) as told:
        open_store(f"postgresql://ann:secret@/store?host={tmp_path}")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("place", ["mysql://host/x", "http://files.example.com", "sqlite://", "nonsense://"])
def test_other_addresses_are_refused(place: str) -> None:
    with pytest.raises(UsageError):
        store_url(place)


def test_no_file_is_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        open_store(str(tmp_path / "none.db"), create=False)
    assert list(tmp_path.iterdir()) == []
