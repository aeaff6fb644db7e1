package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// drainTime is how long requests that are under way may take after a stop.
const drainTime = 20 * time.Second

// secure reports whether people reach the server by https.
func (c *Config) secure() bool { return strings.HasPrefix(c.Issuer, "https://") }

// Serve runs the installation of cfg until ctx ends: it migrates, makes what is
// missing, applies clients.yaml if there is one, and listens. Once ctx has ended it
// drains, stops accepting, and finishes the requests that are under way. out is for the person at the terminal.
func Serve(ctx context.Context, cfg *Config, o Options, out io.Writer) error {
	a, err := Open(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.serve(ctx, out, nil)
}

// serve is Serve for an opened installation. ready, if set, is called once the
// public listener accepts.
func (a *App) serve(ctx context.Context, out io.Writer, ready func()) error {
	for _, sentence := range a.Config.Warnings {
		a.Log.Warn("configuration: " + sentence)
	}
	if err := a.applyFile(ctx, out); err != nil {
		return err
	}
	s, err := a.NewServer(ctx)
	if err != nil {
		return err
	}
	public, err := s.listen(ctx)
	if err != nil {
		return err
	}
	admin, err := net.Listen("tcp", a.Config.AdminListen)
	if err != nil {
		return errors.Join(&ListenError{Key: "ADMIN_LISTEN", Address: a.Config.AdminListen, Err: err}, public.Close())
	}
	a.warnOfOtherServer(ctx, out)
	a.greet(ctx, out)

	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Run(background) }()
	defer func() { stop(); <-stopped }()

	servers := []*http.Server{
		web.NewServer(s.Handler(), a.Log, s.draining.Load), web.NewServer(s.Admin(), a.Log, s.draining.Load),
	}
	failed := make(chan error, len(servers))
	for i, l := range []net.Listener{public, admin} {
		go func() { failed <- servers[i].Serve(l) }()
	}
	if ready != nil {
		ready()
	}
	debug.FreeOSMemory() // starting leaves a third of the memory behind as garbage
	select {
	case <-ctx.Done():
		err = s.drain(failed)
	case err = <-failed:
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, srv := range servers {
		if stopErr := srv.Shutdown(down); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("requests were still under way after %s: %w", drainTime, stopErr), srv.Close())
		}
	}
	return err
}

// drain says that this node is not ready and goes on answering, for DRAIN_DELAY: a load balancer needs that long
// to notice, and sends requests meanwhile. Connections that carry a request end with its response. Idle ones stay
// open, for a request may be on its way on each of them. It ends early if a listener fails.
func (s *Server) drain(failed <-chan error) error {
	s.draining.Store(true)
	delay := s.app.Config.DrainDelay
	if delay == 0 {
		return nil
	}
	s.app.Log.Info("stopping: not ready, and still answering for a while", "drain_delay", delay.String())
	select {
	case <-time.After(delay):
		return nil
	case err := <-failed:
		return err
	}
}

// listen opens the public listener, with TLS if it is configured.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.app.Config.Listen)
	if err != nil {
		return nil, &ListenError{Key: "LISTEN", Address: s.app.Config.Listen, Issuer: s.app.Config.Issuer, Err: err}
	}
	if s.certificate != nil {
		return s.certificate.listener(l), nil
	}
	return l, nil
}

// applyTime is what applying clients.yaml may take; it is one transaction.
const applyTime = 10 * time.Minute

// applyFile applies the clients.yaml of the working directory, if there is one.
// In production a faulty one stops the start; in development the server starts
// without it and says what is wrong with it. An empty development database gets
// the organizations that the file names.
func (a *App) applyFile(ctx context.Context, out io.Writer) error {
	const name = "clients.yaml"
	text, err := os.ReadFile(filepath.Join(a.Config.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	m := manifest.Read(filepath.Join(a.Config.Dir, name), text, manifest.Source{Production: a.Config.Env == Production})
	created, err := a.Manifest.CreateNamedOrganizations(ctx, identity.Operator(), m)
	if err != nil {
		return fmt.Errorf("clients.yaml: %w", err)
	}
	for _, slug := range created {
		a.tell(out, "clients.yaml: create organization %s (in development, where there was none)", slug)
	}
	plan, err := a.Manifest.Apply(storage.WithLongCalls(ctx, applyTime), identity.Operator(), m, nil)
	if faults, ok := errors.AsType[manifest.FileErrors](err); ok && a.Config.Env != Production {
		a.tell(out, "clients.yaml was not applied:\n%v\nFor the organizations and people of the sample file: sallyport seed", faults)
		return nil
	}
	if err != nil {
		return fmt.Errorf("clients.yaml: %w", err)
	}
	for _, c := range plan.Changes {
		a.tell(out, "clients.yaml: %s %s %s", c.Action, c.What, c.Name)
	}
	return nil
}

// tell writes a line for the person at the terminal, or logs it where programs read what is written.
func (a *App) tell(out io.Writer, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if a.jsonLog {
		a.Log.Info(line)
		return
	}
	fmt.Fprintln(out, line)
}

// CaptureStandardLog makes records of what libraries write to the log package. It changes the whole process.
func CaptureStandardLog(logger *slog.Logger) {
	slog.SetDefault(logger)
	log.SetFlags(0)
	log.SetOutput(web.RecordWriter{Log: logger})
}
