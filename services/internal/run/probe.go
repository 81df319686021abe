package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// probePatience is how long a service may take to say how it is.
const probePatience = 5 * time.Second

// healthCommand asks the service that runs beside it, with the same
// configuration, whether it is ready. Images hold no shell and no curl, so the
// binary is its own probe.
func (p *program) healthCommand(settings *pflag.FlagSet) *cobra.Command {
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the running service whether it is ready; exit code 1 if it is not",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), probePatience)
			defer cancel()
			said, err := probe(ctx, p.Config.process().HTTP.Addr)
			if err != nil {
				p.complain(err)
				p.code = ExitFailure
				return nil
			}
			fmt.Fprintln(c.OutOrStdout(), said)
			return nil
		},
	}
	c.Flags().SortFlags = false
	c.Flags().AddFlagSet(settings)
	return c
}

// probe asks /readyz at the address a service listens on.
func probe(ctx context.Context, addr string) (said string, err error) {
	if addr == "" {
		return "", errors.New("health is not served: http.addr is empty; set it to host:port")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("cannot ask %s: %w", addr, err)
	}
	switch host { // who listens on all addresses is met at this machine's own
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return "", fmt.Errorf("cannot ask %s: %w", addr, err)
	}
	// No proxy of the environment and no connection kept: one question.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("cannot ask for health: %w; does the service run, and with this http.addr?", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return "", fmt.Errorf("cannot read the answer: %w", err)
	}
	said = strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready: %s", said)
	}
	return said, nil
}
