"""Transactions that other programs send, by the statements that docs/events.md shows."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, make_url, text

from marketdata_pipeline.database import migrate
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.folders import CATALOG
from marketdata_pipeline.database.home import make_home, open_home
from marketdata_pipeline.ingest.events import Events, Processed
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.store import holdings
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.databases import Databases, lay_catalog
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.test_docs import blocks

PAGE = ROOT / "docs" / "events.md"
ROLE, PASSWORD = "portfolio_app", "change-me"
OWNER, TEMPORARY, APPLICATION, FILE, REJECTED = blocks(PAGE, "sql")
INSERT = """
    INSERT INTO incoming_transactions
        (external_id, portfolio, instrument, side, quantity, currency, executed_at)
    VALUES ('1', 'main', 'AAPL', 'buy', 10, 'USD', '2021-03-01')
"""
INTO_THE_TABLE = """
    INSERT INTO transactions
        (external_id, portfolio, instrument, side, quantity, executed_at, recorded_at)
    VALUES ('2', 'main', 'AAPL', 'buy', 10, 1614612600000000, 1)
"""
ATTACK = f"""
    CREATE TEMP TABLE transactions (
        external_id text, portfolio text, instrument text, side text, quantity float8,
        price float8, currency text, executed_at bigint, recorded_at bigint, voided_at bigint,
        processed_at bigint, UNIQUE (portfolio, external_id)
    );
    CREATE FUNCTION pg_temp.climb() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'GRANT ALL ON public.transactions TO PUBLIC';
        RETURN NEW;
    END $$;
    CREATE TRIGGER climb BEFORE INSERT ON pg_temp.transactions
    FOR EACH ROW EXECUTE FUNCTION pg_temp.climb();
    GRANT ALL ON pg_temp.transactions TO PUBLIC;
    {INSERT};
"""
"""A table of the same name, whose trigger would do what only the owner may."""


@dataclass
class Application:
    """A program that has the role and nothing else."""

    url: str

    def run(self, statement: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def refusal(self, statement: str) -> psycopg2.Error:
        with pytest.raises(psycopg2.Error) as caught:
            self.run(statement)
        return caught.value


@contextmanager
def the_role(url: str) -> Iterator[Application]:
    """The role as the page makes it, under a name of this test's own: a server has one of each."""
    name = f"{ROLE}_{uuid.uuid4().hex}"
    engine = open_engine(url)
    for statement in OWNER.replace(ROLE, name).split(";\n"):
        if statement.strip():
            with writing(engine) as connection:
                connection.execute(text(statement))
    ours = make_url(url).set(drivername="postgresql", username=name, password=PASSWORD)
    yield Application(ours.render_as_string(hide_password=False))
    with writing(engine) as connection:
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))
    engine.dispose()


@pytest.fixture
def application(postgres_catalog_url: str) -> Iterator[Application]:
    with the_role(postgres_catalog_url) as made:
        yield made


@pytest.fixture
def catalog(postgres_catalog_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_catalog_url)
    yield engine
    engine.dispose()


def rows(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(text("SELECT * FROM transactions ORDER BY id")))


def held(engine: Engine) -> list[tuple[str, float]]:
    with reading(engine) as connection:
        return [(str(one.instrument), one.quantity) for one in holdings.all_of(connection)]


def test_an_application_inserts_voids_and_repeats(
    application: Application, catalog: Engine
) -> None:
    application.run(APPLICATION)
    application.run(APPLICATION)
    first, second = rows(catalog)
    assert (first.external_id, first.side, first.executed_at) == (
        "order-1", "buy", 1_614_612_600_000_000,
    )  # fmt: skip
    assert first.voided_at is not None
    assert (second.external_id, second.price, second.voided_at) == ("order-2", None, None)
    done = Events(catalog, FrozenClock(), Keeping()).process()
    assert (done.seen, done.rejected, [str(one) for one in done.tracked]) == (2, 0, ["AZN.L"])
    assert held(catalog) == [("AZN.L", 25)]


def test_the_same_id_twice_is_one_and_a_later_void_is_seen(
    application: Application, catalog: Engine
) -> None:
    events = Events(catalog, FrozenClock(), Keeping())
    application.run(INSERT)
    assert events.process().seen == 1
    application.run(INSERT)
    application.run(INSERT.replace("10", "99"))
    assert events.process().seen == 0
    assert held(catalog) == [("AAPL", 10)]
    application.run(
        INSERT.replace("executed_at)", "executed_at, voided_at)").replace("-01')", "-01', now())")
    )
    assert events.process().seen == 1
    assert held(catalog) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM incoming_transactions",
        "SELECT * FROM transactions",
        "SELECT count(*) FROM tracked_instruments",
        INTO_THE_TABLE,
        INSERT.replace("'1'", "'2'") + "RETURNING *",
        "UPDATE incoming_transactions SET quantity = 1",
        "UPDATE transactions SET quantity = 1",
        "DELETE FROM incoming_transactions",
        "DELETE FROM transactions",
        "TRUNCATE transactions",
        "DROP VIEW incoming_transactions",
        "SELECT take_incoming_transaction()",
    ],
)
def test_the_role_can_do_nothing_else(
    application: Application, catalog: Engine, statement: str
) -> None:
    application.run(INSERT)
    refused = application.refusal(statement)
    no_right, called_outside_a_trigger = "42501", "0A000"
    assert refused.pgcode in {no_right, called_outside_a_trigger}
    assert [(one.external_id, one.quantity) for one in rows(catalog)] == [("1", 10)]


@pytest.mark.parametrize(
    ("was", "wrong", "check"),
    [
        ("'buy'", "'short'", "ck_transactions_side"),
        ("10,", "0,", "ck_transactions_quantity"),
        ("10,", "'NaN',", "ck_transactions_quantity"),
        ("'USD'", "'EURO'", "ck_transactions_currency"),
        ("'AAPL'", "''", "ck_transactions_names"),
        ("'2021-03-01'", "'1970-01-20'", "ck_transactions_executed_at"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_by_a_named_check(
    application: Application, catalog: Engine, was: str, wrong: str, check: str
) -> None:
    refused = application.refusal(INSERT.replace(was, wrong))
    assert refused.diag.constraint_name == check
    assert rows(catalog) == []


def test_what_the_table_takes_and_is_no_instrument_is_rejected_with_a_sentence(
    application: Application, catalog: Engine
) -> None:
    application.run(INSERT.replace("AAPL", "BRK.B"))
    done = Events(catalog, FrozenClock(), Keeping()).process()
    assert (done.seen, done.rejected, done.tracked) == (1, 1, ())
    with reading(catalog) as connection:
        ((portfolio, named, instrument, why),) = connection.execute(text(REJECTED.strip("; \n")))
    assert (portfolio, named, instrument) == ("main", "1", "BRK.B")
    assert "BRK-B" in why


def test_the_role_finds_the_table_whatever_it_looks_through(
    application: Application, catalog: Engine
) -> None:
    named = INSERT.replace("incoming", "public.incoming")
    application.run(f"SET search_path TO pg_catalog; {named}")
    assert len(rows(catalog)) == 1


@pytest.mark.parametrize("path", ["", "SET search_path TO pg_temp, public;"])
def test_a_temporary_table_of_the_role_is_not_taken_for_the_real_one(
    application: Application, catalog: Engine, path: str
) -> None:
    application.run(f"{path} {ATTACK}")
    assert [one.external_id for one in rows(catalog)] == ["1"]
    assert application.refusal("SELECT * FROM public.transactions").pgcode == "42501"


def test_one_that_is_sent_again_and_not_committed_keeps_no_other_waiting(
    application: Application, catalog: Engine
) -> None:
    hurried = catalog.url.update_query_dict({"options": "-clock_timeout=200"})
    engine = open_engine(hurried)
    events = Events(engine, FrozenClock(), Keeping())
    application.run(INSERT)
    with closing(psycopg2.connect(application.url)) as sender, sender.cursor() as cursor:
        cursor.execute(INSERT)
        assert events.process() == Processed(left=1)
        application.run(INSERT.replace("'1'", "'2'"))
        done = events.process()
        assert (done.seen, done.left) == (1, 1)
        sender.commit()
    done = events.process()
    assert (done.seen, done.left) == (1, 0)
    assert held(engine) == [("AAPL", 20)]
    engine.dispose()


def test_the_table_is_found_in_a_schema_of_any_name(databases: Databases) -> None:
    with databases.empty() as url:
        plain = open_engine(url)
        with writing(plain) as connection:
            connection.execute(text('CREATE SCHEMA "Its own"'))
        named = make_url(url).update_query_dict({"options": r'-csearch_path="Its\ own"'})
        engine = open_engine(named)
        migrate.upgrade(engine)
        with writing(plain) as connection:
            connection.execute(text(INSERT.replace("incoming", '"Its own".incoming')))
        assert [one.external_id for one in rows(engine)] == ["1"]
        plain.dispose()
        engine.dispose()


def test_temporary_tables_may_be_forbidden_to_the_role(
    application: Application, catalog: Engine
) -> None:
    database = str(catalog.url.database)
    forbid = TEMPORARY.replace("marketdata", database).strip("; \n")
    with writing(catalog) as connection:
        connection.execute(text(forbid))
    assert application.refusal("CREATE TEMP TABLE mine (id int)").pgcode == "42501"
    application.run(INSERT)
    assert len(rows(catalog)) == 1
    with writing(catalog) as connection:  # whoever gets the database next finds it as it was
        connection.execute(text(forbid.replace("REVOKE", "GRANT").replace("FROM", "TO")))


def test_the_statements_for_a_file_do_the_same(tmp_path: Path) -> None:
    lay_catalog(tmp_path / "catalog.sqlite")
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    insert, void = (f"{one};" for one in FILE.strip().rstrip(";").split(";\n\n"))
    events = Events(engine, FrozenClock(), Keeping())
    for _ in range(2):
        run_in_file(engine, insert)
        events.process()
    assert held(engine) == [("AAPL", 10)]
    assert [one.executed_at for one in rows(engine)] == [1_614_612_600_000_000]
    run_in_file(engine, void)
    assert events.process().seen == 1
    assert held(engine) == []
    engine.dispose()


def run_in_file(engine: Engine, statement: str) -> None:
    with writing(engine) as connection:
        connection.execute(text(statement))


def test_the_lines_of_python_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_catalog(tmp_path / ".marketdata" / CATALOG)
    make_home(Path(".marketdata")).engine.dispose()
    (snippet,) = blocks(PAGE, "python")
    exec(compile(snippet, "events.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.startswith("Processed(seen=1, rejected=0, tracked=(), ")
    with open_home(Path(".marketdata")) as home:
        (row,) = rows(home.engine)
    assert row.executed_at == 1_614_612_600_000_000
    assert datetime.fromtimestamp(row.voided_at / 1e6, UTC).year >= 2026
