package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/db/embedded"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/webhook"
)

// store is the open, migrated database, with the private PostgreSQL under it
// where there is one.
type store struct {
	*db.DB
	applied  []int64
	postgres *embedded.Server
	gone     <-chan struct{} // closed by postgres when it ends; nil without it
}

func openStore(ctx context.Context, c config.Config, log *slog.Logger) (_ *store, err error) {
	s := &store{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	url := c.DatabaseURL
	if url == "" {
		s.postgres, err = embedded.Start(ctx, embedded.Options{
			Dir:            c.DataDir,
			BinDir:         c.PostgresBin,
			MaxConnections: db.MaxConnections + 10,
			Log:            log.With("source", "postgres"),
		})
		if err != nil {
			return nil, err
		}
		url, s.gone = s.postgres.URL(), s.postgres.Done()
	}
	if s.DB, err = db.Open(ctx, url); err != nil {
		return nil, err
	}
	s.UniqueURLs = c.UniqueURLs
	s.applied, err = s.Migrate(ctx)
	return s, err
}

func (s *store) close() (err error) {
	if s.DB != nil {
		err = s.DB.Close()
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Close())
	}
	return err
}

// defaultWorkspace is the uid of the workspace that operators work in who name
// none.
const defaultWorkspace = "default"

// setup is what has to be in the database before the first request.
type setup struct {
	workspaceID string
	// newKey is the operator's key when it was made just now, else "".
	newKey auth.Token
}

func prepare(ctx context.Context, c config.Config, store *db.DB) (s setup, err error) {
	if s.workspaceID, err = store.EnsureWorkspace(ctx, defaultWorkspace); err != nil {
		return s, err
	}
	if c.Dev {
		types, err := webhook.SampleEventTypes()
		if err != nil {
			return s, err
		}
		if err := store.EnsureEventTypes(ctx, types); err != nil {
			return s, err
		}
	}
	if c.OperatorKey == "" && !c.Dev {
		s.newKey, err = firstKey(ctx, store)
	}
	return s, err
}

// firstKey makes the operator's key unless there is one, "" then.
func firstKey(ctx context.Context, store *db.DB) (auth.Token, error) {
	token := auth.NewToken()
	key := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "operator", Prefix: token.Prefix()}
	made, err := store.InsertOperatorKey(ctx, key, token.Hash())
	if err != nil || !made {
		return "", err
	}
	return token, nil
}
