package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

// Config says how the demonstration is to run.
type Config struct {
	// Bin is the folder of the binaries, Dir that of data and logs; empty is a
	// temporary one, removed after a success.
	Bin, Dir string
	// Ports; 0 is a free one.
	KafkaPort, LedgerPort, ExportPort int
	// Seed of the scenario.
	Seed uint64
	// Stay keeps everything up after the results until the context is done.
	Stay bool
	// Out gets the results, Progress what goes on meanwhile.
	Out, Progress io.Writer
	// Now is the wall clock.
	Now func() time.Time
}

// ErrWrong says that the ledger does not tell what happened.
var ErrWrong = errors.New("what came out is not what went in")

// length of the story; patience with a ledger in which nothing moves.
const (
	length   = 40 * time.Second
	patience = 75 * time.Second
)

// Run plays the demonstration. It returns when all processes have ended.
func Run(ctx context.Context, cfg Config) (err error) {
	temporary := cfg.Dir == ""
	if temporary {
		if cfg.Dir, err = os.MkdirTemp("", "flowledger-demo-"); err != nil {
			return fmt.Errorf("cannot make a folder for the demonstration: %w", err)
		}
	} else if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the demonstration's folder: %w", err)
	}
	began := cfg.Now()
	s := newStack(&cfg)
	defer func() {
		err = errors.Join(err, s.stop())
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			fmt.Fprintf(cfg.Progress, "logs are in %s\n", s.logs())
		case temporary:
			_ = os.RemoveAll(cfg.Dir) // a leftover in the temporary folder harms nobody
		}
	}()
	if err := s.start(ctx); err != nil {
		return err
	}
	p := &performance{cfg: &cfg, stack: s, ledger: newLedger(s.ledgerAddr), began: began, moved: make(chan struct{}, 1)}
	if err := s.guard(ctx, p.perform); err != nil {
		return err
	}
	return p.finish(ctx)
}

// performance is one run of the story.
type performance struct {
	cfg     *Config
	stack   *stack
	ledger  *ledger
	began   time.Time
	started time.Time

	story    *simulate.Talk
	summary  *simulate.Summary
	datagram []packet
	truths   []simulate.Truth
	watch    *watch
	moved    chan struct{} // holds a token when the ledger tells something new
	verdict  verdict
}

// perform sends the story, waits for the ledger, and shows what is there.
func (p *performance) perform(ctx context.Context) error {
	if err := p.write(); err != nil {
		return err
	}
	p.watch = newWatch(p.cfg.Now)
	watchCtx, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	done := make(chan error, 1)
	go func() { done <- p.follow(watchCtx) }()
	if err := p.send(ctx); err != nil {
		stopWatch()
		if watched := <-done; !errors.Is(watched, context.Canceled) {
			err = errors.Join(err, watched)
		}
		return err
	}
	if err := p.await(ctx, done); err != nil {
		return err
	}
	return p.show(ctx)
}

// write makes the scenario, to begin in a second.
func (p *performance) write() error {
	cfg := simulate.DefaultTalk()
	cfg.Seed, cfg.Duration = p.cfg.Seed, length
	cfg.Start = p.cfg.Now().Add(time.Second).Truncate(time.Millisecond)
	t, err := simulate.NewTalk(cfg)
	if err != nil {
		return fmt.Errorf("cannot write the story: %w", err)
	}
	p.story, p.started = t, cfg.Start
	p.summary, err = t.Run(simulate.Output{
		Datagram: func(d simulate.Datagram) error {
			p.datagram = append(p.datagram, packet{d.At, d.Exporter, append([]byte(nil), d.Payload...)})
			return nil
		},
		Truth: func(c *simulate.Truth) error {
			p.truths = append(p.truths, *c)
			return nil
		},
	})
	return err
}

// follow looks into the ledger until it tells the whole truth.
func (p *performance) follow(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		got, err := p.look(ctx)
		if err != nil {
			return err
		}
		p.watch.see(got.rows, got.alerts)
		v := p.judge(got)
		if v.complete() {
			return nil
		}
		if now := fmt.Sprintf("%+v", v); now != last {
			last = now
			select {
			case p.moved <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// look is what the ledger holds of the story now.
func (p *performance) look(ctx context.Context) (got found, err error) {
	if got.rows, err = p.ledger.conversations(ctx, p.started); err != nil {
		return got, err
	}
	if got.alerts, err = p.ledger.alerts(ctx, p.started); err != nil {
		return got, err
	}
	got.records, err = p.ledger.reports(ctx, p.started)
	return got, err
}

func (p *performance) judge(got found) verdict {
	return judge(p.truths, p.summary.Records(), p.story.Expected(), got)
}

// await waits until the ledger is complete, as long as it grows: a machine that has
// other work is slow. That it does not become so is no error here: the verdict says it.
func (p *performance) await(ctx context.Context, done <-chan error) error {
	p.say("waiting for the ledger to catch up (dedup holds each flow 10 s for other exporters' reports)")
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-p.moved:
			timeout.Reset(patience)
		case <-timeout.C:
			fmt.Fprintf(p.cfg.Progress, "the ledger is not complete, and nothing has moved in it for %s; what is there:\n", patience)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish stays up if asked to, and tells whether all was right.
func (p *performance) finish(ctx context.Context) error {
	if p.cfg.Stay {
		p.invite()
		err := p.stack.guard(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		})
		fmt.Fprintln(p.cfg.Progress, "\nstopping")
		if err != nil {
			return err
		}
	}
	if !p.verdict.right() {
		return ErrWrong
	}
	return nil
}

// say tells what goes on, with the time since the start.
func (p *performance) say(format string, args ...any) {
	say(p.cfg, p.began, format, args...)
}

func say(cfg *Config, began time.Time, format string, args ...any) {
	fmt.Fprintf(cfg.Progress, "[%3.0f s] %s\n", cfg.Now().Sub(began).Seconds(), fmt.Sprintf(format, args...))
}
