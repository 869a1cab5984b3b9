#!/bin/sh
# Creates the role that API and workers use. The role owns nothing; the API grants its privileges at start. The image runs
# this script at the first start with an empty volume. After a change of the password it is run by hand:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/roles.sh
set -eu
: "${POSTGRES_APP_PASSWORD:?}"

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_APP_PASSWORD
select 'create role nvisy_app' where not exists (select from pg_roles where rolname = 'nvisy_app') \gexec
alter role nvisy_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
SQL
