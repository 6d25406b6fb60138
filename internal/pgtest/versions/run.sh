#!/bin/sh
# Runs the tests of all that speaks SQL with each PostgreSQL of package.json.
set -eu
go=${GO:-go}
cd "$(dirname "$0")"
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
chmod 755 "$copies" # who runs PostgreSQL may be another than who tests
cp -R node_modules/postgresql-* "$copies"
cd ../../..
for copy in "$copies"/*; do
	(cd "$copy" && node scripts/hydrate-symlinks.js) # npm may not run it
	"$copy/native/bin/postgres" --version
	TEST_POSTGRES_BIN="$copy/native/bin" "$go" test -count=1 ./db ./delivery ./resolvers
done
