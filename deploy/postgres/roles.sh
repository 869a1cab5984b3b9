#!/bin/sh
# Creates the role of API and workers, which owns nothing; the API grants its privileges at start. The image runs this
# script at the first start with an empty volume. Run it by hand for an older volume, and after a password change:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/roles.sh
set -eu
: "${POSTGRES_APP_PASSWORD:?}"

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_APP_PASSWORD
select 'create role nvisy_app' where not exists (select from pg_roles where rolname = 'nvisy_app') \gexec
alter role nvisy_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
SQL
