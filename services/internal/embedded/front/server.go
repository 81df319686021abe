package front

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
)

// Server answers HTTP requests from the engine.
type Server struct {
	pool   *pool
	http   *http.Server
	listen net.Listener
	served chan error
}

// sessions bounds how many statements the engine works on at once.
const sessions = 16

// Serve begins to answer on the listener, which the server owns from now on.
func Serve(listen net.Listener, engine *chdb.Engine) *Server {
	s := &Server{pool: newPool(engine, sessions), listen: listen, served: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", ok)
	mux.HandleFunc("/", s.handle)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.http.Serve(listen) }()
	return s
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Ok.\n")) }

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.RawQuery == "" {
		ok(w, r)
		return
	}
	w.Header().Set("X-ClickHouse-Timezone", "UTC")
	w.Header().Set("X-ClickHouse-Server-Display-Name", "flowledger-dev")
	if id := r.URL.Query().Get("query_id"); id != "" {
		w.Header().Set("X-ClickHouse-Query-Id", id)
	}
	q, err := readRequest(r)
	if err == nil {
		err = s.pool.with(r.Context(), q, func(session *session) error { return answer(w, q, session) })
	}
	if err != nil {
		asFailure(err).write(w)
	}
}

// Close waits for the requests under way, at most until the context ends, and
// closes the sessions.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if served := <-s.served; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	s.pool.close()
	return err
}
