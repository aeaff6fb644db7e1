package mail

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/sallyport-id/sallyport/internal/outbox"
)

// maxAnswer bounds what is read of a provider's answer.
const maxAnswer = 64 << 10

// newHTTPClient is for an API that gets a key with every request: it follows no
// redirect, which would take the key along. Requests have sendTimeout or less.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport:     bounded{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers off, and tells a request that nobody took from one that
// nobody answered.
type bounded struct{ inner http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		WroteRequest: func(w httptrace.WroteRequestInfo) { sent.Store(w.Err == nil) }})
	answer, err := b.inner.RoundTrip(r.WithContext(traced))
	if err != nil && sent.Load() {
		err = maybeSent(err)
	}
	if err != nil {
		return nil, err
	}
	body := answer.Body
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(readable{body}, maxAnswer), body}
	return answer, nil
}

// readable ends where inner breaks off: the status has said already whether the
// message was taken.
type readable struct{ inner io.Reader }

func (r readable) Read(b []byte) (int, error) {
	n, err := r.inner.Read(b)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// maybeSent marks err as what came instead of an answer to all of a message: it may
// have been sent, and each other try may make another copy.
func maybeSent(err error) error {
	return &outbox.Failure{Err: fmt.Errorf("no answer to the whole message: %w", err), MaybeSent: true}
}

// answered is a provider's refusal in words.
func answered(status int, words string) error {
	if words == "" {
		return fmt.Errorf("the provider answered %d", status)
	}
	return fmt.Errorf("the provider answered %d: %s", status, outbox.OneLine(words, outbox.MaxReason))
}
