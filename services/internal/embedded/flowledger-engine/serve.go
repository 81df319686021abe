package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
	"github.com/flowledger/flowledger/services/internal/embedded/front"
)

// drain is how long a stop waits for requests under way.
const drain = 20 * time.Second

// serving is the engine and its front.
type serving struct {
	addr    net.Addr
	version string
	engine  *chdb.Engine
	server  *front.Server
}

// start opens the engine; it answers when this returns.
func start(o *options) (*serving, error) {
	// First, since the engine takes a second to start: two would be no wiser then.
	listen, err := net.Listen("tcp", o.addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the ledger's HTTP clients: %w", err)
	}
	engine, err := chdb.Open(o.library, o.dir)
	if err != nil {
		listen.Close()
		return nil, err
	}
	return &serving{listen.Addr(), engine.Version(), engine, front.Serve(listen, engine)}, nil
}

// stop answers the requests under way, and puts what is stored on the disk.
func (s *serving) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := s.server.Close(ctx); err != nil {
		return fmt.Errorf("the engine did not stop cleanly: %w", err)
	}
	s.engine.Close()
	return nil
}
