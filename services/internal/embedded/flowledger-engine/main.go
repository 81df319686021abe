// Command flowledger-engine is the ClickHouse engine of `flowctl dev`, the
// demonstration and tests: libchdb behind ClickHouse's HTTP interface, in a
// process of its own. It is apart from flowctl because a program that can load a
// shared library cannot be static, and because a process can hold one engine only.
//
//	flowctl ──starts, reads one line──▶ flowledger-engine ──loads──▶ libchdb
//	   ╰── keeps its standard input open while it lives ──╯
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/library"
)

const usage = `flowledger-engine answers ClickHouse's HTTP interface from an engine that npm
fetches once into FLOWLEDGER_CACHE (178 MB). "flowctl dev" starts it; by itself:

  flowledger-engine --dir ./data --addr 127.0.0.1:8123

When it answers, one JSON line with its address goes to standard output. It has no
users and no passwords: let it listen on loopback only.

`

// options are the command line.
type options struct {
	addr, dir, library string
	attached, remove   bool
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:0", "HTTP address to listen on; port 0 is a free one")
	flag.StringVar(&o.dir, "dir", "", "the data folder, made if need be")
	flag.StringVar(&o.library, "library", "", "path of libchdb; empty: fetched and cached")
	flag.BoolVar(&o.attached, "attached", false, "end when standard input is closed, as it is when the process that started this one dies")
	flag.BoolVar(&o.remove, "remove", false, "remove the data folder at the end")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "flowledger-engine:", err)
		os.Exit(1)
	}
}

// run serves until it is told to stop.
func (o *options) run() error {
	if o.dir == "" || flag.NArg() > 0 {
		return fmt.Errorf("name a data folder with --dir, and nothing else (--help tells)")
	}
	detached, detach := context.WithCancel(context.Background())
	defer detach()
	// Caught to the very end: a parent that dies both closes standard input and has
	// the kernel send SIGTERM, and the second must not cut the stop short.
	ctx, ignore := signal.NotifyContext(detached, syscall.SIGINT, syscall.SIGTERM)
	defer ignore()
	if o.attached {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			detach()
		}()
	}
	if o.library == "" {
		var err error
		if o.library, err = library.Path(ctx, "", os.Stderr); err != nil {
			return err
		}
	}
	e, err := start(o)
	if err != nil {
		return err
	}
	ready, _ := json.Marshal(Ready{HTTP: e.addr.String(), Version: e.version})
	if _, err := fmt.Printf("%s\n", ready); err != nil {
		detach() // nobody waits for the line any more
	}
	<-ctx.Done()
	// The engine may hang in a statement that cannot be interrupted.
	time.AfterFunc(2*drain, func() { os.Exit(3) })
	if err := e.stop(); err != nil {
		return err
	}
	if o.remove {
		return os.RemoveAll(o.dir)
	}
	return nil
}

// Ready is the line that says that the engine answers.
type Ready struct {
	HTTP    string `json:"http"`
	Version string `json:"version"`
}
