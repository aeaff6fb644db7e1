package app_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/sample/seed"
	"github.com/sallyport-id/sallyport/storage"
)

// samples is how often each of two classes is measured.
const samples = 2000

// LG-01: how well the time of an answer tells addresses that have an account from
// those that have none, as the area under the ROC curve: 0.5 is not at all, 1 is
// always. It is a benchmark because a busy machine says nothing.
//
//	go test -run '^$' -bench Enumeration -benchtime 1x -timeout 2h ./internal/app
func BenchmarkEnumeration(b *testing.B) {
	for _, engine := range []storage.Engine{storage.SQLite, storage.Postgres} {
		s := harness.Start(b, engine, harness.Options{Environ: []string{"SALLYPORT_CONFIRM_EMAIL=true", "SALLYPORT_TRUSTED_PROXIES=127.0.0.1/32"}})
		if err := s.App.Seeder.Seed(b.Context(), identity.Operator(), seed.Options{Users: samples}); err != nil {
			b.Fatal(err)
		}
		for name, ask := range map[string]func(p *prober, email string){
			"login page":   func(p *prober, email string) { p.form("/login", "email", email, "password", "not the password 9") },
			"recover page": func(p *prober, email string) { p.form("/recover", "email", email) },
			"register page": func(p *prober, email string) {
				p.form("/register", "email", email, "name", "N", "password", "a quite unusual phrase 3")
			},
			"API login": func(p *prober, email string) {
				p.json("/auth/login", `{"email":%q,"password":"not the password 9"}`, email)
			},
			"API forgot-password": func(p *prober, email string) { p.json("/auth/forgot-password", `{"email":%q}`, email) },
			"API register": func(p *prober, email string) {
				p.json("/auth/register", `{"email":%q,"password":"a quite unusual phrase 3","name":"N"}`, email)
			},
		} {
			b.Run(string(engine)+"/"+strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
				p := newProber(b, s)
				for range b.N {
					b.ReportMetric(p.compare(ask), "AUC")
				}
			})
		}
	}
}

// prober asks as a browser that comes from another address each time, so that no limit is met.
type prober struct {
	b     *testing.B
	s     *harness.Server
	http  *http.Client
	forms map[string]string // path → csrf
	asked uint32
}

func newProber(b *testing.B, s *harness.Server) *prober {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	return &prober{b: b, s: s, http: &http.Client{Jar: jar}, forms: map[string]string{}}
}

// compare measures both classes in random order and returns the area under the curve.
func (p *prober) compare(ask func(p *prober, email string)) float64 {
	type sample struct {
		took  time.Duration
		known bool
	}
	var all []sample
	var n [2]int
	for len(all) < 2*samples {
		known := rand.IntN(2) == 0
		class := 0
		if known {
			class = 1
		}
		if n[class] == samples {
			continue
		}
		email := fmt.Sprintf("user%d@acme-corp.com", n[class])
		if !known {
			email = fmt.Sprintf("none%d@acme-corp.com", n[class])
		}
		n[class]++
		start := time.Now()
		ask(p, email)
		all = append(all, sample{time.Since(start), known})
	}
	slices.SortFunc(all, func(a, b sample) int { return int(a.took - b.took) })
	ranks := 0
	for i, s := range all {
		if s.known {
			ranks += i + 1
		}
	}
	return (float64(ranks) - samples*(samples+1)/2) / (samples * samples)
}

func (p *prober) form(path string, fields ...string) {
	form := url.Values{"csrf": {p.csrf(path)}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.post(path, "application/x-www-form-urlencoded", form.Encode())
}

// csrf is the token of a page's form; one serves for all posts of a browser.
func (p *prober) csrf(path string) string {
	if p.forms[path] == "" {
		resp, err := p.http.Get(p.s.Issuer + path)
		if err != nil {
			p.b.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			p.b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(body), `name="csrf" value="`)
		p.forms[path], _, _ = strings.Cut(rest, `"`)
	}
	return p.forms[path]
}

func (p *prober) json(path, body string, email string) {
	p.post("/api/v1"+path, "application/json", fmt.Sprintf(body, email))
}

func (p *prober) post(path, kind, body string) {
	req, err := http.NewRequestWithContext(p.b.Context(), http.MethodPost, p.s.Issuer+path, strings.NewReader(body))
	if err != nil {
		p.b.Fatal(err)
	}
	p.asked++
	req.Header.Set("Content-Type", kind)
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", p.asked>>16&255, p.asked>>8&255, p.asked&255))
	resp, err := p.http.Do(req)
	if err != nil {
		p.b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		p.b.Fatal(err)
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusForbidden {
		p.b.Fatalf("%s answers %d", path, resp.StatusCode)
	}
}
