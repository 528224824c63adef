package pgserver

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Launch starts a server for a program that is no test, e.g. a benchmark. The caller ends
// it with Stop.
func Launch(ctx context.Context, o Options) (*Server, error) { return start(ctx, o) }

// Stop ends a server that Launch started.
func (s *Server) Stop() { s.stop() }

// NewDatabase creates an empty database, which goes with the server, and returns its URL.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close(ctx) }()
	name := fmt.Sprintf("bench%d", s.dbs.Add(1))
	if _, err := c.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.url(name), nil
}
