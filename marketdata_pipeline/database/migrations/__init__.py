"""Alembic's environment and the catalog's revisions; imported only while upgrading."""
