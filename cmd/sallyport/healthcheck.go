package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) healthcheck() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the server of this machine whether it is well (for images)",
		Example: examples("sallyport healthcheck", "sallyport healthcheck --ready"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return p.health(cmd.Context(), cfg.AdminListen, path)
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it can serve, not only whether it runs")
	return cmd
}

// health asks the admin listener, which may listen on all addresses.
func (p *program) health(ctx context.Context, listen, path string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	req.Host = "localhost" // ADMIN_LISTEN may name a host that ADMIN_HOSTS does not
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return &failure{what: "the server does not answer: " + err.Error(), next: "Is it running, with the same ADMIN_LISTEN?", cause: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return &failure{what: fmt.Sprintf("the server answers %s: %s", res.Status, body)}
	}
	fmt.Fprintln(p.out, "ok")
	return nil
}
