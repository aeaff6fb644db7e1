package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/sallyport-id/sallyport/internal/outbox"
)

// SMTPConfig says which server takes mail.
type SMTPConfig struct {
	Host string
	Port int // 465 speaks TLS from the first byte (RFC 8314), every other STARTTLS
	// Plain sends in clear and never speaks TLS. It is for a server on loopback.
	Plain bool
	// Implicit speaks TLS from the first byte whatever the port.
	Implicit bool
	Username string // empty: no authentication
	Password string
	// LocalName is what this machine calls itself.
	LocalName string
	// Roots are the authorities to trust; nil: the system's.
	Roots *x509.CertPool
}

// SMTP sends through a mail server. Its certificate is always checked: otherwise
// an attacker on the network could read the links that sign people in.
type SMTP struct {
	c    SMTPConfig
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewSMTP returns an SMTP over c.
func NewSMTP(c SMTPConfig) *SMTP {
	return &SMTP{c, (&net.Dialer{Timeout: dialTimeout}).DialContext}
}

// How long a server may take for an answer, and for the one to the whole message:
// it may scan or pass the message on before it says that it has it. RFC 5321 section
// 4.5.3.2.6 gives it ten minutes for that; half of them keep a server that hangs from
// holding everything else up for long.
const (
	dialTimeout    = 10 * time.Second
	commandTimeout = 20 * time.Second
	submitTimeout  = 5 * time.Minute
	// sendTimeout has room for the answers to STARTTLS, EHLO, three of AUTH, MAIL, RCPT and DATA.
	sendTimeout = dialTimeout + 8*commandTimeout + submitTimeout
)

// Send delivers m in a connection of its own.
func (s *SMTP) Send(ctx context.Context, m *Message) error {
	content, err := m.bytes()
	if err != nil {
		return err
	}
	from, to, err := m.addresses(Address.mailbox)
	if err != nil {
		return err
	}
	c, done, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := transmit(c, from, to, content); err != nil {
		return err
	}
	_ = c.Quit() // it has the message
	return nil
}

// Check connects, greets and signs in, and sends nothing.
func (s *SMTP) Check(ctx context.Context) error {
	c, done, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.Quit()
}

// connect returns a client that may send. done closes it; so does the end of ctx.
func (s *SMTP) connect(ctx context.Context) (c *smtp.Client, done func(), err error) {
	conn, err := s.dial(ctx, "tcp", net.JoinHostPort(s.c.Host, strconv.Itoa(s.c.Port)))
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	done = func() {
		stop()
		conn.Close()
	}
	if c, err = s.secure(ctx, conn); err == nil {
		err = s.signIn(c)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return c, done, nil
}

// secure greets and brings up TLS.
func (s *SMTP) secure(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	config := &tls.Config{ServerName: s.c.Host, RootCAs: s.c.Roots, MinVersion: tls.VersionTLS12}
	var c *smtp.Client
	switch {
	case s.c.Plain:
		c = smtp.NewClient(conn)
	case s.c.Implicit || s.c.Port == 465:
		secured := tls.Client(conn, config)
		deadline, cancel := context.WithTimeout(ctx, commandTimeout)
		defer cancel()
		if err := secured.HandshakeContext(deadline); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		c = smtp.NewClient(secured)
	default:
		// The library would give a silent server five minutes, whatever deadline conn has.
		late := time.AfterFunc(commandTimeout, func() { conn.Close() })
		var err error
		c, err = smtp.NewClientStartTLS(conn, config)
		if !late.Stop() && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %v", commandTimeout)
		}
		if err != nil {
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
	}
	c.CommandTimeout, c.SubmissionTimeout = commandTimeout, submitTimeout
	if err := c.Hello(cmp.Or(s.c.LocalName, "localhost")); err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return c, nil
}

// signIn authenticates, over TLS or to loopback alone.
func (s *SMTP) signIn(c *smtp.Client) error {
	if s.c.Username == "" {
		return nil
	}
	var how sasl.Client
	switch {
	case c.SupportsAuth(sasl.Plain):
		how = sasl.NewPlainClient("", s.c.Username, s.c.Password)
	case c.SupportsAuth(sasl.Login):
		how = &login{answers: []string{s.c.Username, s.c.Password}}
	default:
		return errors.New("sign-in: the server offers neither PLAIN nor LOGIN")
	}
	if err := c.Auth(how); err != nil {
		return fmt.Errorf("sign-in: %w", err)
	}
	return nil
}

// login is the old mechanism LOGIN as every server knows it: name and password
// each upon being asked. (The library's sends the name unasked.)
type login struct{ answers []string }

func (l *login) Start() (mech string, first []byte, err error) { return sasl.Login, nil, nil }

func (l *login) Next([]byte) (answer []byte, err error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer, l.answers = []byte(l.answers[0]), l.answers[1:]
	return answer, nil
}

func transmit(c *smtp.Client, from, to string, content []byte) error {
	o := &smtp.MailOptions{Size: int64(len(content)), UTF8: !isASCII(to)}
	if ok, _ := c.Extension("SMTPUTF8"); o.UTF8 && !ok {
		return outbox.Permanent(errors.New("recipient: the server takes ASCII addresses only"))
	}
	if err := c.Mail(from, o); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return fmt.Errorf("recipient: %w", aboutMessage(err))
	}
	data, err := c.Data()
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if _, err := data.Write(content); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	err = data.Close()
	if _, answered := errors.AsType[*smtp.SMTPError](err); err != nil && !answered {
		err = maybeSent(err)
	}
	if err != nil {
		return fmt.Errorf("content: %w", aboutMessage(err))
	}
	return nil
}

// aboutMessage reads an answer about the recipient or the content: 5xx is final
// (RFC 5321 section 4.2.1). Not so 5.7.x (RFC 3463), which says that this sender
// may not: the operator can mend that.
func aboutMessage(err error) error {
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	switch {
	case !ok || answer.Code == 421 || answer.EnhancedCode[1] == 7: // 421: it closes the connection
		return err
	case answer.Code >= 500:
		return outbox.Permanent(err)
	}
	return &outbox.Failure{Err: err}
}
