#!/bin/sh
# Makes the role that API and workers use: it owns nothing; the API gives it its rights when it starts. Run by the image at
# the first start with an empty volume; by hand where the volume is older, and after a change of the password:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/roles.sh
set -eu
: "${POSTGRES_APP_PASSWORD:?}"

psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_APP_PASSWORD
select 'create role nvisy_app' where not exists (select from pg_roles where rolname = 'nvisy_app') \gexec
alter role nvisy_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
SQL
