package run

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/port"
)

func TestHealthCommand(t *testing.T) {
	var state error
	p := newProcess(func(_ context.Context, env *Env) error {
		ask := func(addr string, want int, said string) {
			t.Helper()
			q := newProcess(nil, "health", "--http.addr", addr)
			if got := q.main(); got != want || !strings.Contains(q.out.String()+q.err.String(), said) {
				t.Errorf("%s: exit code %d, want %d; %q %q lack %q", addr, got, want, q.out.String(), q.err.String(), said)
			}
		}
		_, number, _ := net.SplitHostPort(env.HTTPAddr)
		ask(env.HTTPAddr, ExitFailure, "thing: not ready: starting")
		env.ReadyWhen(func() error { return state })
		ask(env.HTTPAddr, ExitOK, "ok")
		ask(":"+number, ExitOK, "ok")
		ask("0.0.0.0:"+number, ExitOK, "ok")
		state = errors.New("recovering flows.raw/3")
		ask(env.HTTPAddr, ExitFailure, "thing: not ready: recovering flows.raw/3")
		ask("", ExitFailure, "http.addr is empty")
		ask("8080", ExitUsage, "http.addr: must be host:port")
		return nil
	})
	if got := p.main(); got != ExitOK {
		t.Errorf("exit code %d; %s", got, p.err.String())
	}
	q := newProcess(nil, "health", "--http.addr", p.closedAddr(t))
	if got := q.main(); got != ExitFailure || !strings.Contains(q.err.String(), "does the service run") {
		t.Errorf("nobody there: exit code %d; %s", got, q.err.String())
	}
}

// closedAddr is an address at which nobody listens.
func (p *process) closedAddr(t *testing.T) string {
	addr, release, err := port.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}
