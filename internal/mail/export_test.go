package mail

import (
	"context"
	"net"
	"time"
)

// SendTimeout is what a Sender may take.
const SendTimeout time.Duration = sendTimeout

// DialWith makes s reach its server through dial.
func (s *SMTP) DialWith(dial func() (net.Conn, error)) {
	s.dial = func(context.Context, string, string) (net.Conn, error) { return dial() }
}
