#!/bin/bash
# Runs once, on a new PostgreSQL volume: databases and roles of Airflow and Superset. Those of the marts are
# created by `metaalexport prepare-postgres`, which also works on an existing server.
set -euo pipefail
psql --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set airflow_password `echo "$AIRFLOW_DB_PASSWORD"`
\set superset_password `echo "$SUPERSET_DB_PASSWORD"`
create role airflow login password :'airflow_password';
create role superset login password :'superset_password';
create database airflow owner airflow;
create database superset owner superset;
-- By default everyone may connect to a new database and create temporary tables; readers of the marts must not.
revoke all on database airflow, superset, postgres, template1 from public;
SQL
