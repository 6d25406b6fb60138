package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/hookql/hookql/internal/config"
)

var errAmiss = errors.New("something in the database is not as it must be; docs/operations.md says what each line means")

// checkDatabase prints how many rows are not as they must be, by what they
// should be, and fails where there are any.
func checkDatabase(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	all, err := store.Check(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	amiss := false
	for _, f := range all {
		fmt.Fprintf(table, "%s\t%d\n", f.What, f.Count)
		amiss = amiss || f.Count > 0
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if amiss {
		return errAmiss
	}
	return nil
}
