#!/bin/bash
# Runs once, when the volume of PostgreSQL is new: databases and roles of Airflow and Superset. Those of the marts are
# made by `metaalexport prepare-postgres`, which also works on a server that was there before.
set -euo pipefail
psql --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set airflow_password `echo "$AIRFLOW_DB_PASSWORD"`
\set superset_password `echo "$SUPERSET_DB_PASSWORD"`
create role airflow login password :'airflow_password';
create role superset login password :'superset_password';
create database airflow owner airflow;
create database superset owner superset;
-- Everyone may connect to a new database, and make temporary tables there: not the readers of the marts.
revoke all on database airflow, superset, postgres, template1 from public;
SQL
