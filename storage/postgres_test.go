package storage

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Of several hosts the one is used that can be written to, whether the others are
// down, silent or read-only.
func TestOfSeveralHostsTheWritableOneIsUsed(t *testing.T) {
	u, err := url.Parse(postgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the backlog and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	real := u.Port()
	open := func(ports ...string) error {
		q := u.Query()
		q.Set("port", strings.Join(ports, ","))
		q.Set("target_session_attrs", "read-write")
		several := *u
		several.Host, several.RawQuery = strings.TrimSuffix(strings.Repeat("127.0.0.1,", len(ports)), ","), q.Encode()
		s, err := Open(t.Context(), Config{URL: several.String()})
		if err != nil {
			return err
		}
		defer s.Close()
		return s.TryWrite(t.Context())
	}
	port := func(l net.Listener) string {
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	for name, ports := range map[string][]string{"the first": {real, port(closed)}, "the second, after one that is down": {port(closed), real}} {
		if err := open(ports...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := Open(t.Context(), Config{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// One connection through a silent host takes a whole connectLimit, so the store is opened elsewhere.
	p, err := newPgConnector(strings.Replace(u.String(), u.Host, "127.0.0.1,127.0.0.1", 1) + "&port=" + port(silent) + "," + real)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Connect(t.Context())
	if err != nil {
		t.Errorf("after one that is silent: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.writer.Exec(`ALTER DATABASE ` + strings.TrimPrefix(u.Path, "/") + ` SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	if err := open(port(closed), real); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("where none can be written to: %v", err)
	}
}

// Transactions whose time is up, as when many wait for a connection, cost the pool no connection: opening all of them
// anew would keep a busy server busy.
func TestATransactionWithoutTimeCostsNoConnection(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: postgresURL(t), Conns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	session := func(ctx context.Context) (pid int, err error) {
		err = s.inTx(ctx, func(tx *tx) error { return tx.row(ctx, `SELECT pg_backend_pid()`).Scan(&pid) })
		return pid, err
	}
	before, err := session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{commitLimit, commitLimit / 2, commitLimit / 4} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		if _, err := session(ctx); !errors.Is(fault("", err), ErrUnavailable) {
			t.Errorf("with %v left: %v, want ErrUnavailable", left, err)
		}
		cancel()
	}
	if after, err := session(t.Context()); err != nil || after != before {
		t.Errorf("afterwards: session %d instead of %d, %v", after, before, err)
	}
}
