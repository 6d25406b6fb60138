#!/bin/sh
# Makes sure that PostgreSQL 14 or newer is installed. Prints nothing when it is;
# else says what it installs, and installs that with the machine's own package
# manager. Tested on Debian and Ubuntu; best effort with dnf and Homebrew.
#
# HOOKQL_POSTGRES_BIN, when set, is the only place that is looked at, as in the
# program. HOOKQL_INSTALL_ROOT is put before all absolute paths, for tests.
set -eu

oldest=14
root=${HOOKQL_INSTALL_ROOT-}

# usable DIR: are there a server and an initdb that are new enough?
usable() {
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	major=$("$1/postgres" --version 2>/dev/null) || return 1
	major=${major#"postgres (PostgreSQL) "}
	major=${major%%[!0-9]*}
	[ "${major:-0}" -ge "$oldest" ]
}

# installed: the same places as in find.go.
installed() {
	if [ -n "${HOOKQL_POSTGRES_BIN-}" ]; then
		usable "$HOOKQL_POSTGRES_BIN"
		return
	fi
	if program=$(command -v postgres); then
		program=$(readlink -f "$program" 2>/dev/null || echo "$program")
		usable "$(dirname "$program")" && return
	fi
	if bin=$(pg_config --bindir 2>/dev/null); then
		usable "$bin" && return
	fi
	for bin in \
		"$root"/usr/lib/postgresql/*/bin \
		"$root"/usr/pgsql-*/bin \
		"$root"/opt/homebrew/opt/postgresql*/bin \
		"$root"/usr/local/opt/postgresql*/bin \
		"$root"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
		"$root"/Applications/Postgres.app/Contents/Versions/*/bin \
		"$root"/opt/local/lib/postgresql*/bin \
		"$root"/run/current-system/sw/bin \
		"$root"/nix/var/nix/profiles/default/bin; do
		usable "$bin" && return
	done
	return 1
}

say() { echo "$*" >&2; }

give_up() {
	say "$1"
	exit 1
}

# as_root COMMAND...: runs it as root, or says what root must run.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		give_up "PostgreSQL is missing, and only root can install it. As root, run: sh db/embedded/install.sh"
	fi
}

with_apt() {
	say "No PostgreSQL $oldest or newer found. Installing the package postgresql with apt-get; it will start no server."
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
	# Otherwise the package makes a cluster and starts it on port 5432. Who has
	# chosen something else keeps it.
	conf=$root/etc/postgresql-common/createcluster.conf
	if ! grep -q '^[[:space:]]*create_main_cluster' "$conf" 2>/dev/null; then
		as_root mkdir -p "${conf%/*}"
		echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
	fi
	# The configuration above is kept where the package brings its own.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold postgresql >&2
}

with_dnf() {
	say "No PostgreSQL $oldest or newer found. Installing the package postgresql-server with dnf; it will start no server."
	as_root dnf install -y postgresql-server >&2
}

with_brew() {
	say "No PostgreSQL $oldest or newer found. Installing postgresql@18 with Homebrew; it will start no server."
	brew install postgresql@18 >&2
}

if installed; then
	exit 0
elif [ -n "${HOOKQL_POSTGRES_BIN-}" ]; then
	give_up "HOOKQL_POSTGRES_BIN is $HOOKQL_POSTGRES_BIN, which has no PostgreSQL $oldest or newer."
elif command -v apt-get >/dev/null; then
	with_apt
elif command -v dnf >/dev/null; then
	with_dnf
elif command -v brew >/dev/null; then
	with_brew
else
	give_up "No PostgreSQL $oldest or newer found, and no apt-get, dnf or brew to install it. Install it and start again."
fi
installed || give_up "Installed, but still no PostgreSQL $oldest or newer. This system's packages may be too old: see postgresql.org/download."
