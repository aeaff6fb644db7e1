package app_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// recovery has a browser ask for a link, and returns what the page answers.
func recovery(t *testing.T, b *harness.Browser, email string) *harness.Page {
	t.Helper()
	return b.Submit(t, b.Get(t, "/recover").Form(t, "recover"), "email", email)
}

// resetLink has a new browser ask for a link, and returns the mail's.
func resetLink(t *testing.T, s *harness.Server, email string) string {
	t.Helper()
	s.Clock.Advance(time.Minute) // five a minute
	says(t, "recovery", recovery(t, s.Browser(t), email), http.StatusOK, `id="check-mail"`)
	return s.LastMail(t, email).Link
}

// A link in a mail sets a new password: it is for one address, leads to the issuer
// whatever the Host says, and works once; the second step is asked for as before.
func TestAPasswordIsReset(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients, Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		t.Run("the way", func(t *testing.T) { testResettingAPassword(t, s) })
		t.Run("second step", func(t *testing.T) { testResetKeepsTheSecondStep(t, s) })
		t.Run("addresses", func(t *testing.T) { testAddressesThatAreSeveral(t, s) })
		t.Run("host", func(t *testing.T) { testLinksComeFromTheIssuer(t, s) })
		t.Run("forged", func(t *testing.T) { testFormsOfOneLink(t, s) })
		t.Run("log", func(t *testing.T) { testTokensStayOutOfTheLog(t, s) })
	})
}

func testResettingAPassword(t *testing.T, s *harness.Server) {
	signedIn := s.Browser(t)
	harness.SignIn(t, signedIn, harness.Bob)
	b := s.Browser(t)
	flow := b.Get(t, harness.Quiet(s, "openid").Authorize(nil).URL).URL.Query().Get("flow")
	page := b.Get(t, "/recover?flow="+flow)
	says(t, "the form", page, http.StatusOK, `href="/login?flow=`+flow)
	says(t, "sent", b.Submit(t, page.Form(t, "recover"), "email", " BOB@ACME-CORP.COM"), http.StatusOK, `id="check-mail"`, "30 minutes")
	mail := s.LastMail(t, harness.Bob.Email)
	if !strings.HasPrefix(mail.Link, s.Issuer+"/recover/reset?token=") || mail.To != harness.Bob.Email {
		t.Fatalf("the mail is to %s and links to %s", mail.To, mail.Link)
	}
	for range 2 { // opening it uses nothing
		says(t, "the link", s.Browser(t).Get(t, mail.Link), http.StatusOK, `id="reset-submit"`, harness.Bob.Email, "signed out", "At least 8 characters")
	}
	form := b.Get(t, mail.Link).Form(t, "reset")
	for _, bad := range []string{"", "short", "password1", harness.Bob.Email} {
		says(t, "a bad password", b.Submit(t, form, "password", bad), http.StatusUnprocessableEntity, `id="password-error"`)
	}
	changed := harness.Person{Email: harness.Bob.Email, Password: newPassword}
	in := b.Submit(t, form, "password", changed.Password)
	says(t, "reset", in, http.StatusOK, "Your password is set", `value="`+harness.Bob.Email+`"`)
	if in.URL.Path != "/login" || strings.Contains(b.Get(t, "/").Body, harness.Bob.Email) {
		t.Errorf("at %s: a link has signed somebody in", in.URL)
	}
	if strings.Contains(signedIn.Get(t, "/").Body, harness.Bob.Email) || signsIn(t, s, harness.Bob) || !signsIn(t, s, changed) {
		t.Error("the old password or a session from before still counts, or the new one does not")
	}
	for name, p := range map[string]*harness.Page{"shown": b.Get(t, mail.Link), "sent": b.Submit(t, form, "password", "nine quiet badgers dig")} {
		says(t, "the link once more, "+name, p, http.StatusBadRequest, `data-error="reset_link"`, `href="/recover"`)
	}
	notice := s.Mail(t, harness.Bob.Email)[1]
	if !strings.Contains(notice.Subject, "password") || !strings.Contains(notice.Text, "Firefox on Linux") {
		t.Errorf("the notice is %q:\n%s", notice.Subject, notice.Text)
	}
	late := resetLink(t, s, harness.Bob.Email)
	s.Clock.Advance(30*time.Minute + time.Second)
	says(t, "late", b.Get(t, late), http.StatusBadRequest, `data-error="reset_link"`)
}

// RS-04: a mailbox alone is not enough for an account with a second step.
func testResetKeepsTheSecondStep(t *testing.T, s *harness.Server) {
	phone := s.Phone(t, harness.Alice)
	b := s.Browser(t)
	page := b.Get(t, resetLink(t, s, harness.Alice.Email))
	says(t, "the form", page, http.StatusOK, "Two-step verification stays on")
	in := b.Submit(t, page.Form(t, "reset"), "password", newPassword)
	step := b.Submit(t, in.Form(t, "login"), "password", newPassword)
	if step.URL.Path != "/login/factor" {
		t.Fatalf("after the reset the password leads to %s", step.URL)
	}
	// Half a session is good for nothing else.
	for _, path := range []string{"/", "/account", harness.Quiet(s, "openid").Authorize(nil).URL} {
		if p := b.Get(t, path); p.Away != nil || p.URL.Path != "/login/factor" {
			t.Errorf("with the password alone %s is at %s, away to %v", path, p.URL, p.Away)
		}
	}
	if p := b.Submit(t, step.FormWith(t, "code"), "code", phone.Code(t)); p.URL.Path != "/" || !strings.Contains(p.Body, harness.Alice.Email) {
		t.Errorf("with the code: %d at %s", p.Status, p.URL)
	}
}

// RS-02: mail goes to one stored address, whatever is typed beside it.
func testAddressesThatAreSeveral(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	form := b.Get(t, "/recover").Form(t, "recover")
	before := len(s.AllMail(t))
	for _, email := range []string{"", "bob", harness.Bob.Email + ",evil@example.com", harness.Bob.Email + ";evil@example.com", harness.Bob.Email + " evil@example.com",
		harness.Bob.Email + "\r\nBcc: evil@example.com", harness.Bob.Email + "%0aCc:evil@example.com", "Bob <" + harness.Bob.Email + ">", "bob@acme-corp.com(comment)",
		"(x)" + harness.Bob.Email, `"bob"@acme-corp.com`, "evil@example.com\x00", harness.Bob.Email + "\u202e", "<" + harness.Bob.Email + ">", harness.Bob.Email + "@evil.example",
		strings.Repeat("a", 300) + "@example.com", `["bob@acme-corp.com","evil@example.com"]`} {
		s.Clock.Advance(time.Minute)
		want := http.StatusUnprocessableEntity
		if strings.Contains(email, "\x00") {
			want = http.StatusBadRequest
		}
		says(t, email, b.Submit(t, form, "email", email), want)
	}
	twice := url.Values{"csrf": form.Values["csrf"], "email": {harness.Bob.Email, "evil@example.com"}}
	says(t, "two addresses", b.Post(t, "/recover", twice), http.StatusBadRequest)
	array := url.Values{"csrf": form.Values["csrf"], "email[]": {harness.Bob.Email, "evil@example.com"}}
	says(t, "an array", b.Post(t, "/recover", array), http.StatusBadRequest)
	if got := len(s.AllMail(t)); got != before {
		t.Errorf("that caused %d mails", got-before)
	}
	// Every spelling of the stored address leads to the stored address.
	s.Clock.Advance(time.Hour)
	if resetLink(t, s, "\tBob@ACME-Corp.com "); s.LastMail(t, harness.Bob.Email).To != harness.Bob.Email {
		t.Errorf("the mail went to %s", s.LastMail(t, harness.Bob.Email).To)
	}
}

// RS-01: links are made from ISSUER, whatever a request calls this server.
func testLinksComeFromTheIssuer(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Hour)
	b := s.Browser(t)
	form := b.Get(t, "/recover").Form(t, "recover")
	host := strings.TrimPrefix(s.Issuer, "http://")
	for name, change := range map[string]func(*http.Request){
		"X-Forwarded-Host": func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.example") },
		"X-Host":           func(r *http.Request) { r.Header.Set("X-Host", "evil.example") },
		"Forwarded":        func(r *http.Request) { r.Header.Set("Forwarded", "host=evil.example;proto=https") },
		"X-Original-URL":   func(r *http.Request) { r.Header.Set("X-Original-URL", "https://evil.example/recover") },
		"Host":             func(r *http.Request) { r.Host = "evil.example" },
		"Host with ours":   func(r *http.Request) { r.Host = host + ".evil.example" },
		"Referer":          func(r *http.Request) { r.Header.Set("Referer", "https://evil.example/") },
	} {
		s.Clock.Advance(20 * time.Minute) // five mails an hour to one address
		before := len(s.Mail(t, harness.Bob.Email))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/recover", strings.NewReader(url.Values{"csrf": form.Values["csrf"], "email": {harness.Bob.Email}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		resp, err := b.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		mails := s.Mail(t, harness.Bob.Email)
		if wrongHost := strings.HasPrefix(name, "Host"); wrongHost && (resp.StatusCode != http.StatusMisdirectedRequest || len(mails) != before) {
			t.Errorf("%s: %d and %d mails", name, resp.StatusCode, len(mails)-before)
		} else if !wrongHost && (resp.StatusCode != http.StatusOK || len(mails) != before+1) {
			t.Errorf("%s: %d and %d mails", name, resp.StatusCode, len(mails)-before)
		}
		last := mails[len(mails)-1]
		if strings.Contains(last.Text+last.HTML, "evil") || !strings.HasPrefix(last.Link, s.Issuer+"/recover/reset?token=") {
			t.Errorf("%s: the mail links to %s", name, last.Link)
		}
	}
	// The absolute form of a request line names the host in the place of Host.
	conn, err := net.Dial("tcp", strings.Replace(host, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET http://evil.example/recover HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 421 ") {
		t.Errorf("an absolute request line is answered %.60q, %v", answer, err)
	}
}

// A form of one link uses no other, and none of another browser does.
func testFormsOfOneLink(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Hour)
	b, other := s.Browser(t), s.Browser(t)
	bobs, alices := resetLink(t, s, harness.Bob.Email), resetLink(t, s, harness.Alice.Email)
	form := *b.Get(t, bobs).Form(t, "reset")
	hers := b.Get(t, alices).Form(t, "reset")
	form.Action = hers.Action
	says(t, "Bob's form with Alice's link", b.Submit(t, &form, "password", "nine quiet badgers dig"), http.StatusForbidden, `data-error="csrf"`)
	says(t, "a form without cookies", other.Submit(t, hers, "password", "nine quiet badgers dig"), http.StatusForbidden, `data-error="missing_cookie"`)
	other.Get(t, "/login")
	says(t, "another browser's form", other.Submit(t, hers, "password", "nine quiet badgers dig"), http.StatusForbidden, `data-error="csrf"`)
	says(t, "the link after that", b.Get(t, alices), http.StatusOK, `id="reset-submit"`)
}

// RS-11: tokens of links are in no log, and in no other address of their pages.
func testTokensStayOutOfTheLog(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Hour)
	b := s.Browser(t)
	link := resetLink(t, s, harness.Bob.Email)
	_, token, _ := strings.Cut(link, "token=")
	page := b.Get(t, link)
	if got := strings.Count(page.Body, token); got != 1 || !strings.Contains(page.Body, `action="/recover/reset?token=`+token) || page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the token is %d times on the page, or its address goes elsewhere: %v", got, page.Header)
	}
	b.Submit(t, page.Form(t, "reset"), "password", "short")
	b.Submit(t, page.Form(t, "reset"), "password", newPassword)
	b.Get(t, link)
	for what, secret := range map[string]string{"token": token, "password": newPassword, "address": "bob@acme-corp.com"} {
		if strings.Contains(s.Log.String(), secret) {
			t.Errorf("the %s is in the log", what)
		}
	}
}

// Sixteen at once on two nodes: a link is used once.
func TestLinksAreUsedOnce(t *testing.T) {
	harness.EachEngine(t, confirming(), func(t *testing.T, s *harness.Server) {
		nodes := []*harness.Server{s, s.Node(t)}
		for name, tc := range map[string]struct {
			link func() string
			form string
			won  func(p *harness.Page) bool
		}{
			"reset": {func() string { return resetLink(t, s, harness.Bob.Email) }, "reset",
				func(p *harness.Page) bool { return p.URL.Path == "/login" && p.Status == http.StatusOK }},
			"confirmation": {func() string { return registerAnew(t, s, s.Browser(t), carol()) }, "verify",
				func(p *harness.Page) bool { return p.URL.Path == "/recover/reset" && p.Status == http.StatusOK }},
		} {
			link := tc.link()
			var wins atomic.Int32
			var all sync.WaitGroup
			ready := make(chan struct{})
			for i := range 16 {
				b := nodes[i%2].Browser(t)
				form := b.Get(t, link).Form(t, tc.form)
				all.Go(func() {
					var set []string
					if tc.form == "reset" {
						set = []string{"password", fmt.Sprintf("%s number %d", newPassword, i)}
					}
					<-ready
					p := b.Submit(t, form, set...)
					switch {
					case tc.won(p):
						wins.Add(1)
					case p.Status == http.StatusBadRequest && strings.Contains(p.Body, "_link") || p.Status == http.StatusServiceUnavailable || strings.Contains(p.Body, "has an account already"):
					default:
						t.Errorf("%s: %d at %s", name, p.Status, p.URL)
					}
				})
			}
			close(ready)
			all.Wait()
			if wins.Load() != 1 {
				t.Errorf("%s: %d of 16 succeed, want one", name, wins.Load())
			}
		}
	})
}
