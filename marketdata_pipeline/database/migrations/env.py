"""What Alembic runs: the revisions, on the connection and in the transaction of its caller.

Not here: opening databases (engine) and choosing when to upgrade (migrate).
"""

from alembic import context

from marketdata_pipeline.database.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite too: the engine says BEGIN itself
    render_as_batch=True,
)
context.run_migrations()
