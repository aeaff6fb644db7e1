package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

var behindAProxy = harness.Options{Environ: []string{"SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}}

// stranger sends single requests from one address, without cookies of its own.
type stranger struct {
	s    *harness.Server
	http *http.Client
}

func strangerAt(t *testing.T, s *harness.Server, address string) *stranger {
	t.Helper()
	transport := s.Transport()
	transport.MaxIdleConnsPerHost = 16
	t.Cleanup(transport.CloseIdleConnections)
	return &stranger{s, &http.Client{Transport: harness.Forwarded{RoundTripper: transport, Address: address}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do sends a form, or gets where there is none, and returns the answer.
func (x *stranger) do(t *testing.T, target string, form url.Values, cookies ...*http.Cookie) (*http.Response, string) {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = x.s.Issuer + target
	}
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Error(err)
		return &http.Response{}, ""
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := x.http.Do(req)
	if err != nil {
		t.Error(err)
		return &http.Response{}, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp, string(body)
}

// flood runs do n times, eight at once.
func flood(n int, do func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	all.Wait()
}

// rowsOf are the rows of a table, one a line.
func rowsOf(t *testing.T, s *harness.Server, table string) []string {
	t.Helper()
	var rows []string
	for line := range strings.Lines(s.Contents(t)) {
		if strings.HasPrefix(line, table+" ") {
			rows = append(rows, line)
		}
	}
	return rows
}

// However many requests a neighbour makes, a person behind the same address goes on
// with the sign-in that they have begun, and another begins one.
func TestNeighboursCannotStopASignIn(t *testing.T) {
	harness.EachEngine(t, behindAProxy, func(t *testing.T, s *harness.Server) {
		const address = "198.51.100.7"
		rp, x, began := s.Portal(), strangerAt(t, s, address), s.Clock.Now()
		victim := harness.BrowserAt(t, s, address)
		r := rp.Authorize(nil)
		form := victim.Get(t, r.URL).Form(t, "login")

		uri := pushedURI(t, rp)
		flood(2000, func(i int) {
			r, target, body := rp.Authorize(nil), "", url.Values(nil)
			switch i % 4 {
			case 0:
				target = r.URL
			case 1: // unbound until its redirect is followed
				target, body = "/oauth2/authorize", r.Params
			case 2:
				target = "/oauth2/authorize?client_id=" + rp.ClientID + "&request_uri=" + url.QueryEscape(uri)
			case 3: // with a cookie that never comes back
				target = rp.Authorize(url.Values{"prompt": {"login"}, "login_hint": {strings.Repeat("x", 12_000)}}).URL
			}
			if resp, _ := x.do(t, target, body); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("request %d gets %d", i, resp.StatusCode)
			}
		})
		minutes := int(s.Clock.Now().Sub(began)/time.Minute) + 1
		if rows := rowsOf(t, s, "flows"); len(rows) > 300*minutes {
			t.Errorf("%d flows of one address are left after %d minutes, want 300 a minute", len(rows), minutes)
		}

		page := victim.Submit(t, form, "email", harness.Bob.Email, "password", harness.Bob.Password)
		page = victim.Submit(t, page.Form(t, "consent"), "answer", "allow")
		if page.Away == nil || page.Away.Query().Get("code") == "" {
			t.Errorf("the sign-in that was under way ends at %s with %d", page.URL, page.Status)
		}
		rp.SignIn(t, harness.BrowserAt(t, s, address), harness.Alice, nil)
	})
}

func pushedURI(t *testing.T, rp *harness.RP) string {
	t.Helper()
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &pushed); status != http.StatusCreated {
		t.Fatalf("pushing gets %d", status)
	}
	return pushed.RequestURI
}

// A flow whose page was opened with its cookie is never dropped. When an address has
// opened as many as it may, another stranger there waits, and nobody who is known or is
// elsewhere.
func TestOpenedFlowsStayAndKnownBrowsersAreNeverRefused(t *testing.T) {
	harness.EachEngine(t, behindAProxy, func(t *testing.T, s *harness.Server) {
		rp := s.Portal()
		const address, neighbour = "2001:db8:7:7::1", "2001:db8:7:7:ffff::2"
		known := harness.BrowserAt(t, s, "203.0.113.5")
		rp.SignIn(t, known, harness.Bob, nil)
		known.Get(t, "/oauth2/logout?client_id="+rp.ClientID)
		moved := harness.NewBrowser(t, s.Issuer, harness.Forwarded{RoundTripper: s.Transport(), Address: neighbour})
		moved.HTTP.Jar = known.HTTP.Jar
		moved.Submit(t, moved.Get(t, "/oauth2/logout").FormWith(t, "csrf"), "answer", "yes")

		x := strangerAt(t, s, address)
		var first atomic.Pointer[http.Response]
		open := func(i int) *http.Response {
			resp, _ := x.do(t, rp.Authorize(nil).URL, nil)
			if resp.StatusCode != http.StatusSeeOther {
				return resp
			}
			if opened, _ := x.do(t, resp.Header.Get("Location"), nil, resp.Cookies()...); opened.StatusCode != http.StatusOK {
				t.Errorf("flow %d opens with %d", i, opened.StatusCode)
			}
			if i%3 == 0 { // however they end
				x.do(t, "/oauth2/authorize?cancel=1&flow="+resp.Header.Get("Location")[len("/login?flow="):], nil, resp.Cookies()...)
			} else {
				first.CompareAndSwap(nil, resp)
			}
			return resp
		}
		var refused *http.Response
		for i := 0; i < 700 && refused == nil; i++ { // a slow run crosses a minute
			if resp := open(i); resp.StatusCode != http.StatusSeeOther {
				refused = resp
			}
		}
		if refused == nil || refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") == "" {
			t.Fatalf("beyond the budget a stranger gets %+v, want 429 with Retry-After", refused)
		}
		resp := first.Load()
		if again, _ := x.do(t, resp.Header.Get("Location"), nil, resp.Cookies()...); again.StatusCode != http.StatusOK {
			t.Errorf("the first flow that was opened is answered with %d", again.StatusCode)
		}
		if resp, _ := strangerAt(t, s, neighbour).do(t, rp.Authorize(nil).URL, nil); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("another address of the same /64 gets %d", resp.StatusCode)
		}
		for name, elsewhere := range map[string]string{"the next /64": "2001:db8:7:8::1", "IPv4": "198.51.100.7"} {
			if resp, _ := strangerAt(t, s, elsewhere).do(t, rp.Authorize(nil).URL, nil); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("%s gets %d", name, resp.StatusCode)
			}
		}
		rp.Walk(t, moved, rp.Authorize(nil), harness.Bob) // its session has ended; the browser is known all the same
		for range 3 {
			rp.Walk(t, moved, rp.Authorize(url.Values{"prompt": {"consent"}}), harness.Bob) // signed in
		}
	})
}

// A public client has no secret, so pushed requests in its name are counted for each address; and no
// request stores more than the parameters that are read.
func TestPushedRequestsCannotFillTheDisk(t *testing.T) {
	harness.EachEngine(t, behindAProxy, func(t *testing.T, s *harness.Server) {
		const address = "198.51.100.7"
		rp, x := s.Mobile(), strangerAt(t, s, address)
		var stored, refused atomic.Int64
		junk := strings.Repeat("junk", 15_000)
		began := s.Clock.Now()
		flood(500, func(i int) {
			form := rp.Authorize(nil).Params
			switch i % 3 { // 60 kB each
			case 0:
				form.Set("junk", junk)
			case 1:
				for n := range 100 {
					form.Set(fmt.Sprint("junk", n), junk[:590])
				}
			case 2:
				form.Set(junk[:30_000], junk[:30_000])
			}
			switch resp, body := x.do(t, "/oauth2/par", form); resp.StatusCode {
			case http.StatusCreated:
				stored.Add(1)
			case http.StatusTooManyRequests:
				if refused.Add(1); resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"too_many_requests"`) {
					t.Errorf("a refusal is %v %s", resp.Header, body)
				}
			default:
				t.Errorf("pushing gets %d %s", resp.StatusCode, body)
			}
		})
		if minutes := int64(s.Clock.Now().Sub(began)/time.Minute) + 1; stored.Load() < 300 || stored.Load() > 300*minutes || stored.Load()+refused.Load() != 500 {
			t.Errorf("%d are stored and %d refused in %d minutes, want 300 a minute", stored.Load(), refused.Load(), minutes)
		}
		rows := strings.Join(rowsOf(t, s, "pushed_requests"), "")
		if n := int64(len(rows)); n > 1024*stored.Load() {
			t.Errorf("%d bytes are stored of %d requests", n, stored.Load())
		}
		if strings.Contains(s.Contents(t), "junkjunk") || strings.Contains(s.Log.String(), "junkjunk") {
			t.Error("parameters that nobody reads are stored or logged")
		}
		if resp, _ := strangerAt(t, s, "198.51.100.8").do(t, "/oauth2/par", rp.Authorize(nil).Params); resp.StatusCode != http.StatusCreated {
			t.Errorf("another address gets %d", resp.StatusCode)
		}
		pushedURI(t, s.Portal()) // shows who it is, and has a budget of its own
	})
}

// A stored request has at most 16 KiB, whichever way it comes.
func TestAStoredRequestHasAtMost16KiB(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, x := s.Portal(), strangerAt(t, s, "127.0.0.1")
		fits := url.Values{"login_hint": {strings.Repeat("x", 15_000)}}
		for name, large := range map[string]url.Values{
			"one parameter":               {"login_hint": {strings.Repeat("x", 17_000)}},
			"several":                     {"login_hint": {strings.Repeat("x", 9_000)}, "organization": {strings.Repeat("y", 9_000)}},
			"characters that are escaped": {"login_hint": {strings.Repeat("\x01", 3_000)}},
			"a repeated parameter":        {"resource": slicesOf("https://api.example/x", 800)},
		} {
			for way, send := range map[string]func(r *harness.Request) (*http.Response, string){
				"GET":  func(r *harness.Request) (*http.Response, string) { return x.do(t, r.URL, nil) },
				"POST": func(r *harness.Request) (*http.Response, string) { return x.do(t, "/oauth2/authorize", r.Params) },
			} {
				resp, body := send(rp.Authorize(large))
				if to, _ := url.Parse(resp.Header.Get("Location")); resp.StatusCode != http.StatusSeeOther || to.Query().Get("error") != "invalid_request" {
					t.Errorf("%s by %s gets %d %s %.200s, want invalid_request at the client", name, way, resp.StatusCode, resp.Header.Get("Location"), body)
				}
				if resp, _ := send(rp.Authorize(fits)); resp.StatusCode != http.StatusSeeOther || strings.Contains(resp.Header.Get("Location"), "error=") {
					t.Errorf("15 kB by %s gets %d %s", way, resp.StatusCode, resp.Header.Get("Location"))
				}
			}
			var answer struct{ Error string }
			if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(large).Params, &answer); status != http.StatusBadRequest || answer.Error != "invalid_request" {
				t.Errorf("%s pushed gets %d %+v", name, status, answer)
			}
		}
		for _, row := range append(rowsOf(t, s, "flows"), rowsOf(t, s, "pushed_requests")...) {
			if len(row) > 17_000 {
				t.Errorf("a row has %d bytes: %.300s", len(row), row)
			}
		}
	})
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// Requests carry by mistake parameters that are not for this server. A parameter that is not read is
// dropped: it reaches no row, no log, no page and no other server. Of an id_token_hint
// its claims alone are stored.
func TestStrayParametersReachNothing(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, bob := s.Portal(), s.Browser(t)
		tokens := rp.SignIn(t, bob, harness.Bob, nil)
		stray := url.Values{"junk": {"canary-of-junk"}, "access_token": {"canary-of-a-token"}, "password": {"canary-of-a-password"}, "username": {"canary-of-a-name"},
			"refresh_token": {"canary-of-a-refresh-token"}, "code": {"canary-of-a-code"}, "assertion": {"canary-of-an-assertion"}, "SAMLResponse": {"canary-of-saml"},
			"utm_source": {"canary-of-marketing"}, "ui_locales": {"canary-of-locales"}, "canary-of-a-parameter": {"x"}, "id_token": {tokens.IDToken}}
		withHint := url.Values{"id_token_hint": {tokens.IDToken}}
		for name, v := range stray {
			withHint[name] = v
		}
		secrets := []string{"canary-of-", tokens.IDToken, strings.Split(tokens.IDToken, ".")[2]}
		look := func(where, text string) {
			t.Helper()
			for _, secret := range secrets {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%s shows %s: …%s", where, secret, text[max(0, i-200):min(len(text), i+40)])
				}
			}
		}
		x := strangerAt(t, s, "127.0.0.1")
		send := func(where, target string, form url.Values) *http.Response {
			t.Helper()
			resp, body := x.do(t, target, form)
			look(where, body+" "+resp.Header.Get("Location"))
			return resp
		}
		r := rp.Authorize(withHint)
		page := s.Browser(t).Get(t, r.URL)
		look("the sign-in page", page.Body)
		page.Form(t, "login")
		send("authorize by POST", "/oauth2/authorize", r.Params)
		send("an error for the client", rp.Authorize(url.Values{"junk": stray["junk"], "password": stray["password"], "scope": {"admin:everything openid"}, "prompt": {"none"}}).URL, nil)
		for name, wrong := range map[string]url.Values{"client_id": {"client_id": {"nobody"}}, "redirect_uri": {"redirect_uri": {"https://evil.example/cb"}}} {
			for n, v := range stray {
				wrong[n] = v
			}
			send("the page about a wrong "+name, rp.Authorize(wrong).URL, nil)
		}
		var pushed struct {
			RequestURI string `json:"request_uri"`
		}
		if status, _ := rp.Post(t, "/oauth2/par", r.Params, &pushed); status != http.StatusCreated {
			t.Fatalf("pushing gets %d", status)
		}
		send("authorize with a pushed request", "/oauth2/authorize?client_id="+rp.ClientID+"&request_uri="+url.QueryEscape(pushed.RequestURI)+"&"+stray.Encode(), nil)
		for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/par"} {
			send(path, path, stray)
			rp.Post(t, path, stray, nil)
		}
		for _, path := range []string{"/oauth2/logout", "/login", "/register", "/recover", "/verify", "/invite", "/consent", "/org", "/login/factor", "/", "/nowhere", "/oauth2/userinfo"} {
			send(path, path+"?"+stray.Encode(), nil)
		}
		look("the database", s.Contents(t))
		look("the log", s.Log.String())

		// The hint counts all the same: somebody else than Bob is no answer to the request.
		for name, target := range map[string]string{"stored": rp.Authorize(url.Values{"id_token_hint": {tokens.IDToken}}).URL,
			"pushed": "/oauth2/authorize?client_id=" + rp.ClientID + "&request_uri=" + url.QueryEscape(pushed.RequestURI)} {
			if page := s.Browser(t).WalkTo(t, target, harness.Alice); page.Away == nil || page.Away.Query().Get("error") != "login_required" {
				t.Errorf("%s: Alice ends at %v", name, page.Away)
			}
		}
	})
}

// A sign-in that has ended leaves a row that tells when it was, and where to go back to.
func TestAFinishedFlowKeepsNoRequest(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp := s.Portal()
		for name, end := range map[string]func(b *harness.Browser, r *harness.Request, page *harness.Page){
			"with a code": func(b *harness.Browser, r *harness.Request, page *harness.Page) { rp.Walk(t, b, r, harness.Bob) },
			"cancelled": func(b *harness.Browser, _ *harness.Request, page *harness.Page) {
				b.Get(t, "/oauth2/authorize?cancel=1&flow="+page.URL.Query().Get("flow"))
			},
		} {
			b, r := s.Browser(t), rp.Authorize(url.Values{"login_hint": {"hint-of-somebody@example.com"}})
			var pushed struct {
				RequestURI string `json:"request_uri"`
			}
			rp.Post(t, "/oauth2/par", r.Params, &pushed)
			r.URL = "/oauth2/authorize?client_id=" + rp.ClientID + "&request_uri=" + url.QueryEscape(pushed.RequestURI)
			page := b.Get(t, r.URL)
			end(b, r, page)
			for _, row := range rowsOf(t, s, "flows") {
				ended := !strings.Contains(row, "spent_at= ") && !strings.HasSuffix(row, "spent_at=\n")
				if kept := strings.Contains(row, "hint-of-somebody") || strings.Contains(row, r.Nonce); ended && kept {
					t.Errorf("%s: %s", name, row)
				}
			}
			if got := b.Get(t, page.URL.String()); got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "http://localhost:5001") {
				t.Errorf("%s: the page of the flow gets %d without a way back:\n%s", name, got.Status, got.Body)
			}
		}
		if rows := strings.Join(rowsOf(t, s, "pushed_requests"), ""); strings.Count(rows, "hint-of-somebody") > 1 { // a cancelled one is good for another try
			t.Errorf("pushed requests keep what their codes were issued for: %s", rows)
		}
	})
}

// However much a request carries, its line in the log stays a line.
func TestALineOfTheLogIsBounded(t *testing.T) {
	s := harness.Start(t, "sqlite", harness.Options{})
	rp, x := s.Portal(), strangerAt(t, s, "127.0.0.1")
	large := strings.Repeat("large ", 9_000)
	for _, name := range []string{"grant_type", "scope", "code", "client_id", "redirect_uri", "max_age", "prompt", "claims", "request", "id_token_hint", "token", "client_assertion", "response_mode"} {
		value := url.Values{name: {large}}
		for _, path := range []string{"/oauth2/token", "/oauth2/par", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/authorize"} {
			x.do(t, path, value)
			form := rp.Authorize(value).Params
			rp.Post(t, path, form, nil)
		}
		x.do(t, "/oauth2/authorize?"+value.Encode(), nil)
		x.do(t, rp.Authorize(value).URL, nil)
		x.do(t, "/oauth2/logout?"+value.Encode(), nil)
	}
	for _, grant := range []string{"authorization_code", "refresh_token", "client_credentials"} {
		rp.Token(t, url.Values{"grant_type": {grant}, "scope": {large}, "code": {large}, "refresh_token": {large}, "redirect_uri": {large}, "code_verifier": {large}})
	}
	x.do(t, "/"+strings.Repeat("x", 50_000), nil)
	for line := range strings.Lines(s.Log.String()) {
		if len(line) > 4<<10 {
			t.Errorf("a line of %d bytes: %.300s", len(line), line)
		}
	}
}
