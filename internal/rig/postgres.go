package rig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hookql/hookql/db/embedded"
)

// postgres is a private PostgreSQL that keeps what it says it keeps, behind a
// proxy, so that its address stays while it is killed and started again.
type postgres struct {
	dir    string
	server *embedded.Server
	proxy  *proxy
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	p := &postgres{dir: dir}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	var err error
	if p.proxy, err = newProxy(p.socket()); err != nil {
		return nil, errors.Join(err, p.server.Close())
	}
	return p, nil
}

func (p *postgres) start(ctx context.Context) error {
	server, err := embedded.Start(ctx, embedded.Options{Dir: p.dir, MaxConnections: 300})
	if err != nil {
		return err
	}
	p.server = server
	if p.proxy != nil {
		p.proxy.leadTo(p.socket())
	}
	return nil
}

// socket is where the server listens.
func (p *postgres) socket() string {
	u, _ := url.Parse(p.server.URL()) // it made it itself
	return filepath.Join(u.Query().Get("host"), ".s.PGSQL."+u.Query().Get("port"))
}

// direct is the URL that leads to the server itself, past the proxy.
func (p *postgres) direct() string { return p.server.URL() }

// url is the URL that leads through the proxy.
func (p *postgres) url() string {
	u, _ := url.Parse(p.server.URL())
	u.Host, u.RawQuery = p.proxy.addr(), "sslmode=disable"
	return u.String()
}

// kill ends the postmaster as kill -9 does, and starts another.
func (p *postgres) kill(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(p.dir, "pg", "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("read the postmaster's pid: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the postmaster: %w", err)
	}
	<-p.server.Done()
	return p.restart(ctx)
}

// restart starts the server again that has ended.
func (p *postgres) restart(ctx context.Context) error {
	if err := p.server.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p.start(ctx)
}

func (p *postgres) close() error {
	p.proxy.close()
	return p.server.Close()
}
