package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to date and returns the versions it applied.
// Processes that start together take turns under a session lock. Migrations
// only go forward: what a release needs no more, a later one removes.
func (d *DB) Migrate(ctx context.Context) (applied []int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open the migrations: %w", err)
	}
	return d.migrate(ctx, files)
}

func (d *DB) migrate(ctx context.Context, files fs.FS) (applied []int64, err error) {
	pool, err := connect(ctx, d.url, 0) // a migration may take as long as it needs
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	provider, err := migrator(pool, files)
	if err != nil {
		return nil, err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema's version: %w", err)
	}
	if current > target {
		return nil, fmt.Errorf("the database's schema is at version %d, newer than the %d that this program knows: run a newer HookQL", current, target)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	for _, r := range results {
		applied = append(applied, r.Source.Version)
	}
	if target >= partitionedSince {
		err = d.MakePartitions(ctx)
	}
	return applied, err
}

// partitionedSince is the version of the schema that has tables with a
// partition for each day.
const partitionedSince = 8

func migrator(pool *sqlx.DB, files fs.FS) (*goose.Provider, error) {
	// Look every second whether another process is done, for ten minutes at most.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
	if err != nil {
		return nil, fmt.Errorf("prepare the migration lock: %w", err)
	}
	// Migrations are written side by side, so that a smaller number may come
	// later to a database that has a larger one already.
	provider, err := goose.NewProvider(goose.DialectPostgres, pool.DB, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}
