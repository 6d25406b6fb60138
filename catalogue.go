package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/hookql/hookql/internal/catalogue"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/webhook"
)

// differsCode is what `apply -diff` ends with where something would change.
const differsCode = 2

var errDiffers = errors.New("the catalogue is not what the file says")

// fileMistake is something that has to be mended in a file or in how the
// program was called.
type fileMistake struct{ message string }

func (m fileMistake) Error() string { return m.message }

// catalogueFile is what `hookql apply` and `hookql export` were called with,
// besides options.
type catalogueFile struct {
	path           string
	diff           bool
	archiveMissing bool
	json           bool
}

// cutCatalogueArgs takes what is the verb's own out of its arguments and
// leaves the options, which all verbs share.
func cutCatalogueArgs(verb string, args []string) (f catalogueFile, options []string) {
	own := map[string]*bool{}
	switch verb {
	case "apply":
		own["diff"], own["archive-missing"] = &f.diff, &f.archiveMissing
	case "export":
		own["json"] = &f.json
	}
	for _, arg := range args {
		flag := own[strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")]
		switch {
		case strings.HasPrefix(arg, "-") && flag != nil:
			*flag = true
		case verb == "apply" && f.path == "" && len(options) == 0 && !strings.HasPrefix(arg, "-"):
			f.path = arg
		default:
			options = append(options, arg)
		}
	}
	return f, options
}

// apply brings the catalogue to what a file says, in one transaction, or only
// shows what that would change.
func (f catalogueFile) apply(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	wanted, err := f.read()
	if err != nil {
		return err
	}
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()

	var plan *catalogue.Plan
	if f.diff {
		current, err := store.FullEventTypes(ctx)
		if err != nil {
			return err
		}
		plan = catalogue.NewPlan(current, wanted, f.archiveMissing)
	} else if err := store.ChangeEventTypes(ctx, func(current []*webhook.EventType) ([]*webhook.EventType, error) {
		plan = catalogue.NewPlan(current, wanted, f.archiveMissing)
		return plan.Changed(), nil
	}); err != nil {
		return err
	}
	fmt.Fprint(stdout, plan)
	switch n := len(plan.Changes); {
	case n == 0:
		fmt.Fprintln(stdout, "The catalogue is as the file says; nothing to change.")
	case f.diff:
		fmt.Fprintf(stdout, "To change: %d.\n", n)
		return errDiffers
	default:
		fmt.Fprintf(stdout, "Changed: %d.\n", n)
	}
	return nil
}

// read reads the file, before the database is touched.
func (f catalogueFile) read() ([]*webhook.EventType, error) {
	if f.path == "" {
		return nil, fileMistake{"apply needs the catalogue's file: hookql apply FILE [-diff] [-archive-missing]; `hookql export` writes one"}
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fileMistake{"read the catalogue: " + err.Error()}
	}
	types, err := catalogue.Read(text)
	var mistakes catalogue.Mistakes
	if errors.As(err, &mistakes) {
		return nil, fileMistake{fmt.Sprintf("%s cannot be applied:\n%s", f.path, mistakes)}
	}
	return types, err
}

// export prints the catalogue as a file for apply.
func (f catalogueFile) export(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	types, err := store.FullEventTypes(ctx)
	if err != nil {
		return err
	}
	write := catalogue.WriteYAML
	if f.json {
		write = catalogue.WriteJSON
	}
	text, err := write(types)
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}
