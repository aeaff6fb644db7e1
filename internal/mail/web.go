package mail

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of a provider's answer.
const maxAnswer = 64 << 10

// newHTTPClient is for an API that gets a key with every request: it follows no
// redirect, which would take the key along.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport:     bounded{http.DefaultTransport},
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers off.
type bounded struct{ inner http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body := answer.Body
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, maxAnswer), body}
	return answer, nil
}

// answered is a provider's refusal in words.
func answered(status int, words string) error {
	if words == "" {
		return fmt.Errorf("the provider answered %d", status)
	}
	return fmt.Errorf("the provider answered %d: %s", status, oneLine(words, maxReason))
}
