package factor_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// outcomes posts the same form from copies of one browser at once, in turn through
// each node, and counts the answers that sign in: a new token, and the way on.
func outcomes(t *testing.T, nodes []*harness.Server, b *harness.Browser, f *harness.Form, set ...string) (in int) {
	t.Helper()
	const attempts = 16
	values := url.Values{}
	for name, v := range f.Values {
		values[name] = v
	}
	for i := 0; i+1 < len(set); i += 2 {
		values.Set(set[i], set[i+1])
	}
	u, _ := url.Parse(nodes[0].Issuer)
	cookies := b.HTTP.Jar.Cookies(u)
	start := make(chan struct{})
	won := make([]bool, attempts)
	var all sync.WaitGroup
	for n := range attempts {
		transport := nodes[n%len(nodes)].Transport()
		t.Cleanup(transport.CloseIdleConnections)
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.Action.String(), strings.NewReader(values.Encode()))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {nodes[0].Issuer},
				"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}
			for _, c := range cookies {
				req.AddCookie(c)
			}
			<-start
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode >= 500 {
				t.Errorf("an attempt gets %d", resp.StatusCode)
			}
			for _, c := range resp.Cookies() {
				won[n] = won[n] || c.Name == harness.CookieName && c.Value != ""
			}
		})
	}
	close(start)
	all.Wait()
	for _, w := range won {
		if w {
			in++
		}
	}
	return in
}

// MF-01: of sixteen that show the same code, recovery code or challenge at once on
// two nodes, one signs in.
func TestAProofCountsOnceOnTwoNodes(t *testing.T) {
	harness.EachEngine(t, harness.Options{Host: "localhost"}, func(t *testing.T, s *harness.Server) {
		nodes := []*harness.Server{s, s.Node(t)}
		phone, key := s.Phone(t, harness.Bob), s.SecurityKey(t, harness.Bob)
		for name, set := range map[string]func(b *harness.Browser, p *harness.Page) (*harness.Form, []string){
			"TOTP": func(b *harness.Browser, p *harness.Page) (*harness.Form, []string) {
				return p.Form(t, "factor"), []string{"code", phone.Code(t)}
			},
			"recovery code": func(b *harness.Browser, p *harness.Page) (*harness.Form, []string) {
				return b.Get(t, "/login/factor?method=recovery").Form(t, "factor"), []string{"code", phone.RecoveryCodes[1]}
			},
			"challenge": func(b *harness.Browser, p *harness.Page) (*harness.Form, []string) {
				f := p.Form(t, "factor-passkey")
				return f, []string{"credential", b.Answer(t, f, key)}
			},
		} {
			s.Clock.Advance(2 * time.Minute) // who comes too late is counted as wrong: past the limits of a minute
			b := s.Browser(t)
			form, fields := set(b, harness.EnterPassword(t, b, harness.Bob))
			if in := outcomes(t, nodes, b, form, fields...); in != 1 {
				t.Errorf("%s: %d of 16 sign in, want 1", name, in)
			}
		}
		// The same code in the browsers of two who both know the password.
		s.Clock.Advance(2 * time.Minute)
		one, two := s.Browser(t), s.Browser(t)
		formOne, formTwo := harness.EnterPassword(t, one, harness.Bob).Form(t, "factor"), harness.EnterPassword(t, two, harness.Bob).Form(t, "factor")
		code := phone.Code(t)
		if in := outcomes(t, nodes, one, formOne, "code", code); in != 1 {
			t.Errorf("%d sign in, want 1", in)
		}
		if p := two.Submit(t, formTwo, "code", code); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("the code again: %d at %s", p.Status, p.URL)
		}
	})
}

// MF-03: six ASCII digits of the step now, the one before or the one after, and
// nothing else.
func TestWhatIsNoCode(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	phone := s.Phone(t, harness.Bob)
	try := func(code string) bool {
		s.Clock.Advance(2 * time.Minute) // past the limits of a minute, and every code of before
		b := s.Browser(t)
		p := harness.EnterPassword(t, b, harness.Bob)
		p = b.Submit(t, p.Form(t, "factor"), "code", code)
		if p.URL.Path == "/login/factor" && p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", code, p.Status)
		}
		return p.URL.Path == "/"
	}
	now := func() string { return harness.TOTP(t, phone.Key, s.Clock.Now().Add(2*time.Minute)) }
	at := func(steps int) string {
		return harness.TOTP(t, phone.Key, s.Clock.Now().Add(2*time.Minute+time.Duration(steps)*30*time.Second))
	}
	code := now()
	for _, wrong := range []string{"", "null", "undefined", code[:5], code + "0", "0" + code, code[:3] + "-" + code[3:], "+" + code, code + ".0", "0x" + code[:4],
		fullWidth(code), arabic(code), at(-3), at(3), "[\"" + code + "\"]", strings.Repeat("1", 60_000)} {
		if try(wrong) {
			t.Errorf("%.40q signs in", wrong)
		}
	}
	// Two steps off are one step off by the time the server looks, or not: three never are.
	for _, right := range []func() string{now, func() string { return " " + now() + "\t" }} {
		if c := right(); !try(c) {
			t.Errorf("%q does not sign in", c)
		}
	}
}

func fullWidth(digits string) string {
	return strings.Map(func(c rune) rune { return c - '0' + '０' }, digits)
}

func arabic(digits string) string {
	return strings.Map(func(c rune) rune { return c - '0' + '٠' }, digits)
}

// The fifth wrong code takes away what the password has earned, and the flow
// goes on after another sign-in.
func TestFiveWrongCodesEndAHalfSession(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: harness.Clients}, func(t *testing.T, s *harness.Server) {
		phone := s.Phone(t, harness.Bob)
		rp := harness.Quiet(s, "openid")
		b := s.Browser(t)
		r := rp.Authorize(nil)
		p := b.Submit(t, b.Get(t, r.URL).Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		token := harness.CookieOf(s, b)
		for n := range 4 {
			p = b.Submit(t, p.Form(t, "factor"), "code", "000000")
			if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "That code is not right") {
				t.Fatalf("wrong code %d: %d at %s", n+1, p.Status, p.URL)
			}
		}
		p = b.Submit(t, p.Form(t, "factor"), "code", "000000")
		if p.URL.Path != "/login" || !strings.Contains(p.Body, "too many wrong codes") {
			t.Fatalf("the fifth wrong code: %d at %s", p.Status, p.URL)
		}
		stolen := s.Browser(t)
		harness.SetCookie(s, stolen, token)
		if p := stolen.Get(t, "/login/factor"); p.URL.Path != "/login" {
			t.Errorf("the half session goes on at %s", p.URL)
		}
		p = b.Submit(t, p.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		wantACR(t, granted(t, rp, r, b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))), acrMFA, "pwd", "otp", "mfa")
	})
}

// 20 wrong codes a minute for an account, on all nodes and in all browsers
// together; who has completed a sign-in in this browser is not locked out by it.
func TestCodesOfAnAccountAreLimited(t *testing.T) {
	behindProxy := harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}}
	harness.EachEngine(t, behindProxy, func(t *testing.T, s *harness.Server) {
		other := s.Node(t)
		phone := s.Phone(t, harness.Bob)
		own := s.Browser(t)
		own.Submit(t, harness.EnterPassword(t, own, harness.Bob).Form(t, "factor"), "code", phone.Code(t))
		var blocked *harness.Page
		tries := 0
		for round := 0; blocked == nil && round < 8; round++ {
			b := harness.BrowserAt(t, []*harness.Server{s, other}[round%2], fmt.Sprintf("192.0.2.%d", round+1))
			p := harness.EnterPassword(t, b, harness.Bob)
			for n := 0; n < 4 && blocked == nil; n++ {
				if p = b.Submit(t, p.Form(t, "factor"), "code", "000000"); p.Status == http.StatusTooManyRequests {
					blocked = p
				} else {
					tries++
				}
			}
		}
		if blocked == nil || tries != 20 || blocked.Header.Get("Retry-After") == "" || !strings.Contains(blocked.Body, "too many wrong codes") {
			t.Fatalf("%d wrong codes get through", tries)
		}
		own.Submit(t, own.Get(t, "/").FormWith(t, "csrf"))
		p := own.Submit(t, harness.EnterPassword(t, own, harness.Bob).Form(t, "factor"), "code", phone.Code(t))
		if p.URL.Path != "/" {
			t.Errorf("the owner is locked out: %d at %s", p.Status, p.URL)
		}
	})
}
