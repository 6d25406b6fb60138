package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/db/embedded"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/seal"
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
	masters, err := masterKeys(c, s)
	if err != nil {
		return nil, err
	}
	if s.DB, err = db.Open(ctx, url, masters...); err != nil {
		return nil, err
	}
	s.UniqueURLs, s.LimitTestRuns = c.UniqueURLs, !c.Dev
	if s.applied, err = s.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := s.CheckSealing(ctx); errors.Is(err, db.ErrMasterKey) {
		return nil, &embedded.ConfigError{Message: "hookql: " + err.Error() + "; set HOOKQL_MASTER_KEY to the one they were sealed with, or put back the file " + masterKeyFile + " of the data directory"}
	} else if err != nil {
		return nil, err
	}
	return s, nil
}

// masterKeyFile is where the master key is kept that nobody set.
const masterKeyFile = "master.key"

// masterKeys are those of the configuration, else the one in the data
// directory, which is made where there is none. In production on a database
// elsewhere it must be set: processes on other machines need the same one.
func masterKeys(c config.Config, s *store) ([]seal.Key, error) {
	dir := cmp.Or(c.DataDir, embedded.DefaultDir())
	switch {
	case len(c.MasterKeys) > 0:
		return c.MasterKeys, nil
	case s.postgres != nil:
		dir = s.postgres.Dir()
	case !c.Dev:
		return nil, &embedded.ConfigError{Message: "hookql: HOOKQL_MASTER_KEY is not set: secrets are sealed in the database with a key that is kept elsewhere. Make one with `openssl rand -base64 32`, and keep a copy of it where your backups are not"}
	}
	key, err := keepKey(filepath.Join(dir, masterKeyFile))
	if err != nil {
		return nil, fmt.Errorf("the master key: %w; set HOOKQL_MASTER_KEY to have no file", err)
	}
	return []seal.Key{key}, nil
}

// keepKey reads a key from a file that only its owner can read, and makes it
// where there is none.
func keepKey(path string) (seal.Key, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return seal.ParseKey(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return seal.Key{}, err
	}
	key := seal.NewKey()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return key, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return key, err
	}
	_, err = file.WriteString(key.Text() + "\n")
	return key, errors.Join(err, file.Sync(), file.Close())
}

// sealingPeriod is how often a process looks whether it still has the master
// key; the database is asked once a minute.
const sealingPeriod = 5 * time.Second

// watchSealing says in the log when this process lacks the master key, because
// it was replaced while others served, and when it no longer does, until ctx is
// done.
func (s *store) watchSealing(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(sealingPeriod)
	defer tick.Stop()
	for lacking := false; ; {
		select {
		case <-tick.C:
			lacking = s.lookAtSealing(ctx, lacking, log)
		case <-ctx.Done():
			return nil
		}
	}
}

// lookAtSealing looks once, and says whether the key is lacking now.
func (s *store) lookAtSealing(ctx context.Context, before bool, log *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, sealingPeriod)
	defer cancel()
	err := s.CheckSealing(ctx)
	lacking := errors.Is(err, db.ErrMasterKey)
	switch {
	case err != nil && !lacking:
		return before // that the database does not answer is told by others
	case lacking && !before:
		log.ErrorContext(ctx, "this process lacks the master key: it cannot read secrets, publish or deliver, and is not ready; "+
			"start it again with the HOOKQL_MASTER_KEY that `hookql keys rotate` ran with", "error", db.ErrMasterKey)
	case before && !lacking:
		log.InfoContext(ctx, "this process has the master key again")
	}
	return lacking
}

func rotateKeys(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) error {
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	n, err := store.RotateSealing(ctx)
	if err == nil {
		_, err = fmt.Fprintf(stdout, "The secrets of %d webhooks are sealed with a new key, and the keys with the first master key.\n", n)
	}
	return errors.Join(err, store.close())
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

// setup is what has to be in the database before the first request.
type setup struct {
	workspaceID string
	// newKey is the operator's key when it was made just now, else "".
	newKey auth.Token
}

func prepare(ctx context.Context, c config.Config, store *db.DB, log *slog.Logger) (s setup, err error) {
	if s.workspaceID, err = store.EnsureWorkspace(ctx, webhook.DefaultWorkspace); err != nil {
		return s, err
	}
	types := webhook.OwnEventTypes()
	if c.Dev {
		sample, err := webhook.SampleEventTypes()
		if err != nil {
			return s, err
		}
		types = append(types, sample...)
	}
	if err := store.EnsureEventTypes(ctx, types); err != nil {
		return s, err
	}
	switch {
	case c.Dev:
	case c.OperatorKey != "":
		err = keepOnly(ctx, auth.Token(c.OperatorKey), store, log)
	default:
		s.newKey, err = newKey(ctx, store)
	}
	return s, err
}

// keepOnly makes the operator's keys open no more that were printed, for the
// one of the configuration has come in their place.
func keepOnly(ctx context.Context, configured auth.Token, store *db.DB, log *slog.Logger) error {
	n, err := store.RevokeOtherOperatorKeys(ctx, configured.Hash(), webhook.Now())
	if n > 0 {
		log.WarnContext(ctx, "HOOKQL_OPERATOR_KEY is set, so the operator's key that was printed earlier was revoked")
	}
	return err
}

// newKey makes the operator's key unless there is one that opens, "" then.
func newKey(ctx context.Context, store *db.DB) (auth.Token, error) {
	token := auth.NewToken()
	key := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "operator", Prefix: token.Prefix()}
	made, err := store.InsertOperatorKey(ctx, key, token.Hash())
	if err != nil || !made {
		return "", err
	}
	return token, nil
}
