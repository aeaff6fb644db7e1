package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/internal/samplerp"
	"github.com/sallyport-id/sallyport/internal/web"
)

// The ports of the demonstration, unless they are taken.
const (
	demoPort       = 5000
	demoSamplePort = 5001
	demoAdminPort  = 5002
	demoFakePort   = 5003
)

// Demo serves an installation of its own in dir, on loopback, with the sample data
// and beside it the sample relying party and fake identity providers. Ports that are taken are replaced by the
// next free ones, and of what is configured elsewhere nothing applies; both is said.
func Demo(ctx context.Context, dir string, configured LoadOptions, o Options, out io.Writer) error {
	if keys := configuredKeys(configured); len(keys) > 0 {
		fmt.Fprintf(out, "The demo has settings of its own. These are set and do not apply to it: %s\n", strings.Join(keys, ", "))
	}
	wanted := []int{demoPort, demoSamplePort, demoAdminPort, demoFakePort}
	ports, err := freePorts(wanted...)
	if err != nil {
		return err
	}
	for i, what := range []string{"the server", "the sample application", "the admin listener", "the fake providers"} {
		if ports[i] != strconv.Itoa(wanted[i]) {
			fmt.Fprintf(out, "Port %d is taken: %s is on port %s.\n", wanted[i], what, ports[i])
		}
	}
	issuer, party := "http://localhost:"+ports[0], "http://localhost:"+ports[1]
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	cfg, err := Load(LoadOptions{Dir: dir, Flags: map[string]string{
		"ENV": "development", "ISSUER": issuer, "LISTEN": "127.0.0.1:" + ports[0], "ADMIN_LISTEN": "127.0.0.1:" + ports[2],
		"DATABASE_URL": "sqlite://" + filepath.Join(dir, "data", "sallyport.db"),
	}})
	if err != nil {
		return err
	}
	o.fillIn()
	fakes, connections := demoUpstreams(ports[3], o.Now)
	cfg.Connections = connections
	a, err := Open(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Seeder.Seed(ctx, identity.Operator(), seed.Options{RelyingParty: party}); err != nil {
		return err
	}
	rp := samplerp.New(samplerp.Config{Issuer: issuer, ClientID: sample.ClientID, ClientSecret: sample.ClientSecret, BaseURL: party,
		People: samplePeople(), Logger: a.Log, Now: a.now})
	stopSample, err := serveBeside(ports[1], rp.Handler(), a.Log)
	if err != nil {
		return err
	}
	stopFakes, err := serveBeside(ports[3], fakes, a.Log)
	if err != nil {
		return errors.Join(err, stopSample())
	}
	err = a.serve(ctx, out, func() {
		fmt.Fprintf(out, "\nThe sample application is at %s\nOpen it and sign in as one of:\n", party)
		for _, p := range samplePeople() {
			fmt.Fprintf(out, "  %-24s %-16s %s\n", p.Email, p.Password, p.Who)
		}
		fmt.Fprintf(out, "\nOr sign in with one of the fake providers, which stand for Google, GitHub, Microsoft and OpenID Connect.\n")
		fmt.Fprintf(out, "\nEverything is kept in %s; delete it to begin anew. Ctrl+C stops.\n", dir)
	})
	return errors.Join(err, stopSample(), stopFakes())
}

// serveBeside serves h on loopback until stop is called.
func serveBeside(port string, h http.Handler, log *slog.Logger) (stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	srv := web.NewServer(h, log, nil)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	return func() error {
		err := srv.Close()
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}, nil
}

// samplePeople are those of identity's sample data.
func samplePeople() []samplerp.Person {
	var all []samplerp.Person
	for _, p := range sample.People() {
		all = append(all, samplerp.Person{Email: p.Email, Password: p.Password, Who: p.Role})
	}
	return all
}

// freePorts returns the wanted ports, each replaced by the next free one if it is taken.
func freePorts(wanted ...int) ([]string, error) {
	taken := map[int]bool{}
	var out []string
	for _, port := range wanted {
		for taken[port] || !free(port) {
			if port++; port > 65535 {
				return nil, errors.New("no port is free")
			}
		}
		taken[port] = true
		out = append(out, strconv.Itoa(port))
	}
	return out, nil
}

// free reports whether a browser that asks localhost for the port would reach us: on IPv6 too, which browsers try first.
func free(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			if l.Close() != nil {
				return false
			}
		case host == "127.0.0.1" || errors.Is(err, syscall.EADDRINUSE): // else there is no IPv6 here
			return false
		}
	}
	return true
}

// configuredKeys are the keys that flags, the environment or the file of --config set, in order.
func configuredKeys(o LoadOptions) []string {
	l := newLoader(o.Dir)
	set := merge(l.environValues(o.Environ), l.flagValues(o.Flags))
	if o.File != "" {
		set = merge(set, l.fileValues(o.File))
	}
	return slices.Sorted(maps.Keys(set))
}
