// Package fetch is the HTTP client for addresses that a client's registration names: keys and logos. A registration must
// not make this server ask for what is inside its network. The client therefore reaches public addresses only (and what
// OUTBOUND_ALLOW opens), follows no redirect, uses no proxy, and ends in time (OWASP: server-side request forgery).
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// NewClient returns a client whose requests end within limit, body included. allow lists what the operator opens.
func NewClient(allow []netip.Prefix, limit time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: limit, Control: guardDial(allow)}
	return &http.Client{
		Timeout: limit,
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true,
			TLSHandshakeTimeout: limit, ResponseHeaderTimeout: limit},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ErrTooLarge: the body has more bytes than it may have.
var ErrTooLarge = errors.New("the answer is too large")

// Get returns the body at uri if that answers 200 with at most most bytes. Its errors repeat neither uri, which may
// hold what is nobody else's business, nor the addresses of the connection.
func Get(ctx context.Context, c *http.Client, uri, accept string, most int64) ([]byte, error) {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("it is not an https URL")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, errors.New("it is not an https URL")
	}
	req.Header.Set("Accept", accept)
	resp, err := c.Do(req)
	if err != nil {
		return nil, withoutAddresses(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, fmt.Errorf("it redirects (%d), which is not followed; register the address that it leads to",
			resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, withoutAddresses(err)
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	}
	return body, nil
}

// withoutAddresses says what is wrong with a request and not where. Go's errors repeat the URL, what its name
// resolves to and this server's own address. Those who register a client read the error, and would map the network
// inside by it: names that are unknown, addresses that are refused and ports that are closed are therefore one error.
func withoutAddresses(err error) error {
	connection, isConnection := errors.AsType[*net.OpError](err)
	if isConnection && connection.Op == "dial" {
		return errors.New("it cannot be reached at a public address, or at one that OUTBOUND_ALLOW opens")
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return errors.New("it does not answer in time")
	}
	if isConnection {
		return connection.Err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
