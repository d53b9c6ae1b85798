#!/bin/bash
# Of the official Postgres image's contract, what docker-compose.yml relies on: as root, read POSTGRES_PASSWORD_FILE and
# make the volume Postgres' own; as `postgres`, make the database once, on the socket alone, and then serve.
set -euo pipefail
[ -n "${POSTGRES_PASSWORD_FILE-}" ] || exec "$@"
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    POSTGRES_PASSWORD=$(< "$POSTGRES_PASSWORD_FILE")
    export POSTGRES_PASSWORD
    chmod 0700 "$data"
    chmod 3775 /run/postgresql
    find "$data" /run/postgresql \! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
    pg_ctl --pgdata="$data" --options="-c listen_addresses=''" --wait start
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata="$data" --mode=fast --wait stop
fi
unset POSTGRES_PASSWORD
exec "$@" -D "$data" -c listen_addresses='*'
