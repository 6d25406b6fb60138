package delivery

import (
	"context"
	"time"
)

const (
	// maxGroup is how many changes are read together.
	maxGroup = 100
	// followPause is how long changes gather before they are read, but for the
	// first after a pause: a thousand a second are read in groups of fifty.
	followPause = 50 * time.Millisecond
)

// Follow sends what changes in a workspace, as read finds it, until ctx is done
// or it cannot go on. Then it closes the channel; ended tells why, nil where
// ctx is done. read gets up to a hundred ids at a time, and leaves out what is
// not wanted.
func Follow[T any](ctx context.Context, h *Hub, workspaceID string, kind ChangeKind, read func(context.Context, []string) ([]T, error)) (_ <-chan T, ended func() error) {
	f := h.Subscribe(workspaceID, kind)
	found := make(chan T) // the goroutine below sends and closes
	var err error         // that of the goroutine, read once found is closed
	h.readers.Go(func() {
		defer close(found)
		defer f.End()
		if e := follow(ctx, f, read, found); ctx.Err() == nil {
			err = e
		}
	})
	return found, func() error { return err }
}

func follow[T any](ctx context.Context, f *Feed, read func(context.Context, []string) ([]T, error), found chan<- T) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		ids, err := f.Next(ctx, maxGroup)
		if err != nil {
			return err
		}
		pause.Reset(followPause)
		group, err := read(ctx, ids)
		if err != nil {
			return err
		}
		for _, one := range group {
			select {
			case found <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
