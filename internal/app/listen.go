package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// ListenError says why a listener cannot be opened.
type ListenError struct {
	Key     string // LISTEN or ADMIN_LISTEN
	Address string
	Issuer  string
	Err     error
}

func (e *ListenError) Error() string { return e.Key + ": " + e.Err.Error() }
func (e *ListenError) Unwrap() error { return e.Err }

// windowsAddressInUse is WSAEADDRINUSE, which Windows reports in the place of EADDRINUSE.
const windowsAddressInUse = syscall.Errno(10048)

// Next says what to do about it.
func (e *ListenError) Next() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE), errors.Is(e.Err, windowsAddressInUse):
		return e.useAnotherPort()
	case errors.Is(e.Err, syscall.EACCES):
		return "Ports below 1024 need a permission. Use a higher one, behind a proxy if people shall not see it, or let the binary have them: setcap cap_net_bind_service=+ep"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "This machine does not have that address. Use one that it has, or 0.0.0.0 for all of them."
	}
	return "Write HOST:PORT, such as 127.0.0.1:5000."
}

// useAnotherPort names a free one. An issuer that has the taken port changes with it.
func (e *ListenError) useAnotherPort() string {
	host, text, err := net.SplitHostPort(e.Address)
	port, parseErr := strconv.Atoi(text)
	if err != nil || parseErr != nil {
		return "Another program has that port. End it, or use another port."
	}
	who := "Another program, perhaps a Sallyport that runs already, has port " + text
	if port == 5000 || port == 7000 {
		who += " (on macOS it is the AirPlay Receiver: System Settings, General, AirDrop & Handoff)"
	}
	free, err := freePorts(port + 1)
	if err != nil {
		return who + ". End it, or use another port."
	}
	say := fmt.Sprintf("%s. End it, or use another port:\n  sallyport serve --set %s=%s", who, e.Key,
		net.JoinHostPort(host, free[0]))
	if u, err := url.Parse(e.Issuer); err == nil && e.Key == "LISTEN" && u.Port() == text {
		say += fmt.Sprintf(" --set ISSUER=%s://%s", u.Scheme, net.JoinHostPort(u.Hostname(), free[0]))
	}
	return say
}

// warnOfOtherServer tells of another program that browsers reach at localhost in our place: they try ::1 first, and the
// default of LISTEN is 127.0.0.1 alone.
func (a *App) warnOfOtherServer(ctx context.Context, out io.Writer) {
	host, port, err := net.SplitHostPort(a.Config.Listen)
	if err != nil || host != "127.0.0.1" || issuerHost(a.Config.Issuer) != "localhost" {
		return
	}
	d := net.Dialer{Timeout: 300 * time.Millisecond}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("::1", port))
	if err != nil {
		return
	}
	_ = c.Close() // nothing was sent
	a.tell(out, "Another program answers at [::1]:%s, where browsers look for localhost first. End it, or use another port.", port)
}
