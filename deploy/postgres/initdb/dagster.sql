-- Dagster's own records; the image of Postgres makes the catalog's database by itself.
CREATE DATABASE dagster;
