package mail_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/sallyport-id/sallyport/internal/mail"
)

// received is a message as a mail server got it.
type received struct {
	from, to, user string
	secure         bool
	content        []byte
}

// smtpServer is a real mail server on loopback.
type smtpServer struct {
	host  string
	port  int
	roots *x509.CertPool

	mu       sync.Mutex
	messages []received
	refuse   func(command string) error // of MAIL, RCPT or DATA
	hangUp   bool
}

type smtpOptions struct {
	noTLS, implicit, clearAuth bool
	hangUp                     bool   // on whoever has sent a whole message
	only                       string // the one AUTH mechanism; "" is PLAIN
}

// newSMTPServer starts one whose certificate only its roots vouch for.
func newSMTPServer(t *testing.T, o smtpOptions) *smtpServer {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	s := &smtpServer{roots: x509.NewCertPool(), hangUp: o.hangUp}
	s.roots.AddCert(certified.Certificate())
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.host, s.port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{s: s, c: c, only: o.only}, nil
	}))
	server.Domain, server.AllowInsecureAuth = "mail.example", o.clearAuth
	server.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	if !o.noTLS {
		server.TLSConfig = config
	}
	if o.implicit {
		l = tls.NewListener(l, config)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *smtpServer) refusing(err error, command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = func(c string) error {
		if c == command {
			return err
		}
		return nil
	}
}

func (s *smtpServer) refused(command string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse == nil {
		return nil
	}
	return s.refuse(command)
}

func (s *smtpServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

type smtpSession struct {
	s    *smtpServer
	c    *smtp.Conn
	only string
	r    received
}

func (s *smtpSession) Reset()        {}
func (s *smtpSession) Logout() error { return nil }

func (s *smtpSession) AuthMechanisms() []string {
	if s.only != "" {
		return []string{s.only}
	}
	return []string{sasl.Plain}
}

func (s *smtpSession) Auth(mech string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "id" || password != "right" {
			return smtp.ErrAuthFailed
		}
		s.r.user = user
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the old LOGIN mechanism, which Microsoft 365 offers.
type loginServer struct {
	check func(user, password string) error
	user  string
	step  int
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	s.r.from = from
	return s.s.refused("MAIL")
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.r.to = to
	return s.s.refused("RCPT")
}

func (s *smtpSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.s.refused("DATA"); err != nil {
		return err
	}
	_, s.r.secure = s.c.TLSConnectionState()
	s.r.content = content
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.messages = append(s.s.messages, s.r)
	if s.s.hangUp {
		return s.c.Close()
	}
	return nil
}

// sender is an SMTP to s that trusts its certificate.
func (s *smtpServer) sender(change ...func(*mail.SMTPConfig)) *mail.SMTP {
	c := mail.SMTPConfig{Host: s.host, Port: s.port, Roots: s.roots, LocalName: "id.acme.example"}
	for _, f := range change {
		f(&c)
	}
	return mail.NewSMTP(c)
}

func signedIn(c *mail.SMTPConfig)    { c.Username, c.Password = "id", "right" }
func implicit(c *mail.SMTPConfig)    { c.Implicit = true }
func inClear(c *mail.SMTPConfig)     { c.Plain = true }
func distrusting(c *mail.SMTPConfig) { c.Roots = x509.NewCertPool() }
func wrongPassword(c *mail.SMTPConfig) {
	c.Username, c.Password = "id", "S3cret-canary"
}

func message() *mail.Message {
	return &mail.Message{ID: "0197-1@acme.example", At: time.Date(2026, 6, 12, 14, 3, 0, 0, time.UTC),
		From: mail.Address{Email: "id@acme.example", Name: "Acme ID"}, To: mail.Address{Email: "bob@acme-corp.com", Name: "Bob Büilder"},
		Subject: "Reset your Acme password – now", Text: "Hello Bob,\n.\nhttps://id.acme.example/x?token=abc=def\n", HTML: "<p>Hello “Bob”</p>\n"}
}

func TestSMTPDeliversOverTLS(t *testing.T) {
	for name, tc := range map[string]struct {
		server smtpOptions
		client []func(*mail.SMTPConfig)
		user   string
		secure bool
	}{
		"STARTTLS":             {smtpOptions{}, nil, "", true},
		"STARTTLS and PLAIN":   {smtpOptions{}, []func(*mail.SMTPConfig){signedIn}, "id", true},
		"STARTTLS and LOGIN":   {smtpOptions{only: sasl.Login}, []func(*mail.SMTPConfig){signedIn}, "id", true},
		"implicit TLS":         {smtpOptions{implicit: true}, []func(*mail.SMTPConfig){implicit, signedIn}, "id", true},
		"in clear to loopback": {smtpOptions{noTLS: true, clearAuth: true}, []func(*mail.SMTPConfig){inClear, signedIn}, "id", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTPServer(t, tc.server)
			if err := s.sender(tc.client...).Send(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
			if err := s.sender(tc.client...).Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			got := s.got()
			if len(got) != 1 {
				t.Fatalf("got %d messages, want 1", len(got))
			}
			r := got[0]
			if r.from != "id@acme.example" || r.to != "bob@acme-corp.com" || r.user != tc.user || r.secure != tc.secure {
				t.Errorf("got %q to %q as %q, secure %v", r.from, r.to, r.user, r.secure)
			}
			checkContent(t, r.content)
		})
	}
}

// What a mail program reads is what was sent, byte for byte.
func checkContent(t *testing.T, content []byte) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	want := message()
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != want.Subject {
		t.Errorf("subject: got %q, %v", subject, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Name != want.To.Name || to[0].Address != want.To.Email {
		t.Errorf("to: got %v, %v", to, err)
	}
	for header, value := range map[string]string{"Message-Id": "<0197-1@acme.example>", "Date": "Fri, 12 Jun 2026 14:03:00 +0000", "From": `"Acme ID" <id@acme.example>`, "Auto-Submitted": "auto-generated"} {
		if got := m.Header.Get(header); got != value {
			t.Errorf("%s: got %q, want %q", header, got, value)
		}
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	// The plain part comes first: programs take the last they can show (RFC 2046 section 5.1.4).
	for _, part := range [][2]string{{"text/plain", want.Text}, {"text/html", want.HTML}} {
		kind, body := part[0], part[1]
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header.Get("Content-Type"); got != kind+"; charset=utf-8" {
			t.Errorf("got a part of %s, want %s", got, kind)
		}
		decoded, err := io.ReadAll(quotedprintable.NewReader(p))
		if got := strings.ReplaceAll(string(decoded), "\r\n", "\n"); err != nil || strings.TrimRight(got, "\n") != strings.TrimRight(body, "\n") {
			t.Errorf("%s: got %q, %v, want %q", kind, got, err, body)
		}
	}
	for line := range strings.SplitSeq(string(content), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Errorf("a line that is no 7-bit mail: %q", line)
		}
	}
}

// Mail holds links that sign people in: it goes to the server that was meant, or
// not at all.
func TestSMTPSendsNothingOverAConnectionItCannotTrust(t *testing.T) {
	for name, tc := range map[string]struct {
		server smtpOptions
		client []func(*mail.SMTPConfig)
		says   string
	}{
		"an unknown authority":               {smtpOptions{}, []func(*mail.SMTPConfig){distrusting}, "certificate"},
		"an unknown authority, implicit TLS": {smtpOptions{implicit: true}, []func(*mail.SMTPConfig){distrusting, implicit}, "certificate"},
		"another name":                       {smtpOptions{}, []func(*mail.SMTPConfig){func(c *mail.SMTPConfig) { c.Host = "localhost" }}, "certificate"},
		"no STARTTLS":                        {smtpOptions{noTLS: true}, nil, "STARTTLS"},
		"a wrong password":                   {smtpOptions{}, []func(*mail.SMTPConfig){wrongPassword}, "sign-in"},
		"no mechanism we have":               {smtpOptions{only: "GSSAPI"}, []func(*mail.SMTPConfig){signedIn}, "sign-in"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTPServer(t, tc.server)
			for what, err := range map[string]error{"Send": s.sender(tc.client...).Send(t.Context(), message()), "Check": s.sender(tc.client...).Check(t.Context())} {
				if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "S3cret-canary") {
					t.Errorf("%s: got %v, want an error that says %q", what, err, tc.says)
				}
				if permanent(err) {
					t.Errorf("%s: %v counts as the recipient's fault", what, err)
				}
			}
			if got := s.got(); len(got) != 0 {
				t.Errorf("got %d messages, want none", len(got))
			}
		})
	}
}

// A mailbox that does not exist is given up at once; a server that is busy, or
// that does not want us, is asked again.
func TestSMTPTellsHopelessRecipientsFromOutages(t *testing.T) {
	for _, tc := range []struct {
		command   string
		code      int
		enhanced  smtp.EnhancedCode
		permanent bool
	}{
		{"RCPT", 550, smtp.EnhancedCode{5, 1, 1}, true},
		{"RCPT", 553, smtp.EnhancedCode{5, 1, 3}, true},
		{"RCPT", 550, smtp.EnhancedCode{5, 7, 1}, false}, // relaying denied
		{"RCPT", 450, smtp.EnhancedCode{4, 2, 0}, false}, // greylisting
		{"RCPT", 421, smtp.EnhancedCode{4, 3, 2}, false},
		{"DATA", 554, smtp.EnhancedCode{5, 6, 0}, true},
		{"DATA", 550, smtp.EnhancedCode{5, 7, 26}, false}, // our SPF and DKIM
		{"DATA", 451, smtp.EnhancedCode{4, 3, 0}, false},
		{"MAIL", 550, smtp.EnhancedCode{5, 1, 8}, false}, // our own address
	} {
		s := newSMTPServer(t, smtpOptions{})
		s.refusing(&smtp.SMTPError{Code: tc.code, EnhancedCode: tc.enhanced, Message: "no"}, tc.command)
		err := s.sender().Send(t.Context(), message())
		if err == nil || permanent(err) != tc.permanent {
			t.Errorf("%s %d %v: got %v, permanent %v, want %v", tc.command, tc.code, tc.enhanced, err, permanent(err), tc.permanent)
		}
	}
}

// RS-02, RS-07: no address or name adds a header, a recipient or a command.
func TestHostileAddressesAddNothingToAMail(t *testing.T) {
	s := newSMTPServer(t, smtpOptions{})
	for _, email := range []string{
		"", "bob", "@x.example", "bob@", "a@x.example,b@y.example", "a@x.example b@y.example", "bob@x.example\r\nBcc: all@evil.example", "bob@x.example>\r\nRCPT TO:<all@evil.example",
		"Bob <bob@x.example>", "bob(comment)@x.example", `"bob"@x.example`, "bob@[127.0.0.1]", "bob@x.example\x00", "bob@@x.example", ".bob@x.example", "bob..b@x.example", "bob@x_y.example",
		"bob@x.example@y.example", "b\u202eob@x.example", strings.Repeat("b", 65) + "@x.example", "bob@" + strings.Repeat("x.", 130) + "example",
	} {
		m := message()
		m.To.Email = email
		if err := s.sender().Send(t.Context(), m); !permanent(err) {
			t.Errorf("%q: got %v, want it refused for good", email, err)
		}
	}
	if got := s.got(); len(got) != 0 {
		t.Fatalf("got %d messages, want none", len(got))
	}
	for _, name := range []string{"Bob\r\nBcc: all@evil.example", "\"Bob\" <all@evil.example>, x", "=?utf-8?q?Bob=0D=0ABcc:_all@evil.example?=", "\u202eBob\x00", strings.Repeat("Bü", 500), "a\n\n.\nQUIT"} {
		m := message()
		m.To.Name, m.From.Name, m.Subject = name, name, name
		if err := s.sender().Send(t.Context(), m); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got := s.got()
		parsed, err := netmail.ReadMessage(bytes.NewReader(got[len(got)-1].content))
		if err != nil {
			t.Fatal(err)
		}
		if len(parsed.Header) != 8 || parsed.Header.Get("Bcc") != "" {
			t.Errorf("%q: got headers %v", name, parsed.Header)
		}
		to, err := parsed.Header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != "bob@acme-corp.com" || strings.ContainsAny(to[0].Name, "\r\n\x00\u202e") {
			t.Errorf("%q: got To %v, %v", name, to, err)
		}
		from, err := parsed.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "id@acme.example" {
			t.Errorf("%q: got From %v, %v", name, from, err)
		}
	}
}

func TestInternationalAddressesGoWhereTheyShould(t *testing.T) {
	s := newSMTPServer(t, smtpOptions{})
	m := message()
	m.To.Email = "bob@Bücher.example"
	if err := s.sender().Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := s.got()[0].to; got != "bob@xn--bcher-kva.example" {
		t.Errorf("got %q, want the domain as DNS has it", got)
	}
	// RFC 6531: only a server that says so takes such a local part.
	m.To.Email = "bücher@x.example"
	if err := s.sender().Send(t.Context(), m); !permanent(err) {
		t.Errorf("a local part beyond ASCII: got %v, want it refused for good", err)
	}
}

func TestAServerThatIsAwayIsNobodysFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	err = mail.NewSMTP(mail.SMTPConfig{Host: "127.0.0.1", Port: port}).Send(t.Context(), message())
	if opError := (*net.OpError)(nil); !errors.As(err, &opError) || permanent(err) {
		t.Errorf("got %v, want a failure to connect", err)
	}
}
