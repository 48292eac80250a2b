"""The catalog database and the home folder around it, on SQLite or Postgres.

Not here: what the rows mean to bars and turns (store, governor).
"""
