package front

import (
	"context"
	"sync"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
)

// pool hands out sessions of the engine. A session is opened when none is idle
// and kept for the next request; slots bounds how many work at once.
type pool struct {
	engine *chdb.Engine
	slots  chan struct{}

	mu   sync.Mutex
	idle []*session
}

// session is one connection of the engine, and the database it is in.
type session struct {
	*chdb.Conn
	database string
}

func newPool(engine *chdb.Engine, size int) *pool {
	return &pool{engine: engine, slots: make(chan struct{}, size)}
}

// with runs work in a session that has the request's database and settings, and
// takes the settings back afterwards. A session that cannot be cleaned is closed.
func (p *pool) with(ctx context.Context, q *request, work func(*session) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.slots }()
	s, err := p.take()
	if err != nil {
		return err
	}
	if err := s.enter(q); err != nil {
		p.put(s, s.leave(q) == nil)
		return err
	}
	err = work(s)
	p.put(s, !q.statement.session && s.leave(q) == nil)
	return err
}

func (p *pool) take() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return s, nil
	}
	conn, err := p.engine.Connect()
	if err != nil {
		return nil, err
	}
	return &session{Conn: conn, database: "default"}, nil
}

func (p *pool) put(s *session, clean bool) {
	if !clean {
		s.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, s)
}

// close closes the idle sessions; no request may be under way.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.Close()
	}
	p.idle = nil
}

// enter brings the session to the request's database and settings.
func (s *session) enter(q *request) error {
	if s.database != q.database {
		if err := s.run("USE " + identifier(q.database)); err != nil {
			return err
		}
		s.database = q.database
	}
	if len(q.settings) == 0 {
		return nil
	}
	return s.run(q.set())
}

// leave takes the request's settings back.
func (s *session) leave(q *request) error {
	if len(q.settings) == 0 {
		return nil
	}
	return s.run(q.unset())
}

func (s *session) run(sql string) error {
	result, err := s.Query([]byte(sql), "Null", nil)
	if err != nil {
		return err
	}
	result.Close()
	return nil
}
