package harness

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser keeps cookies and follows redirects as long as they stay at the issuer.
// It runs no scripts.
type Browser struct {
	HTTP   *http.Client
	issuer string
}

// Page is where a browser has come to: a page of the server, or a redirect away from it.
type Page struct {
	Status int
	Header http.Header
	URL    *url.URL
	Body   string
	Forms  []Form
	// Away is where the last redirect leads if that is not the issuer; nil on a page.
	Away *url.URL
}

// Form is a form of a page with its fields' values.
type Form struct {
	ID      string
	Method  string
	Action  *url.URL
	Values  url.Values
	Buttons []Button
	// WebAuthn is "get" or "create" for a form that an authenticator fills in, and
	// Begin where its challenge comes from.
	WebAuthn, Begin string
}

// Button is a submit button of a form.
type Button struct{ ID, Name, Value string }

// Browser returns a new browser without cookies.
func (s *Server) Browser(t testing.TB) *Browser {
	t.Helper()
	transport := s.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return NewBrowser(t, s.Issuer, transport)
}

// NewBrowser returns a new browser without cookies for an issuer that transport
// reaches.
func NewBrowser(t testing.TB, issuer string, transport http.RoundTripper) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{issuer: issuer, HTTP: &http.Client{Jar: jar, Transport: agent{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// agent says what browser this is, as SESSION_PROTECTION looks at it.
type agent struct{ http.RoundTripper }

func (a agent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	}
	return a.RoundTripper.RoundTrip(r)
}

// Get opens a URL; a path is one of the issuer.
func (b *Browser) Get(t testing.TB, target string) *Page {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.issuer + target
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.Do(t, req)
}

// Post sends a form as a page of the issuer would.
func (b *Browser) Post(t testing.TB, target string, form url.Values) *Page {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.issuer + target
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.issuer)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(t, req)
}

// Do sends a request and follows its redirects.
func (b *Browser) Do(t testing.TB, req *http.Request) *Page {
	t.Helper()
	for range 20 {
		req.Header.Set("Accept", "text/html,*/*;q=0.8")
		resp, err := b.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		p := &Page{Status: resp.StatusCode, Header: resp.Header, URL: req.URL, Body: string(body)}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || resp.Header.Get("Location") == "" {
			p.Forms = parseForms(p.Body, req.URL)
			return p
		}
		next, err := resp.Location()
		if err != nil {
			t.Fatal(err)
		}
		if next.Scheme+"://"+next.Host != b.issuer {
			p.Away = next
			return p
		}
		if req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, next.String(), nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("more than 20 redirects, last to %s", req.URL)
	return nil
}

// Form returns the page's form with an id; "" is the first.
func (p *Page) Form(t testing.TB, id string) *Form {
	t.Helper()
	for i := range p.Forms {
		if id == "" || p.Forms[i].ID == id {
			return &p.Forms[i]
		}
	}
	t.Fatalf("the page %s (%d) has no form %q:\n%s", p.URL, p.Status, id, p.Body)
	return nil
}

// FormWith returns the page's form that has a button or field of this name.
func (p *Page) FormWith(t testing.TB, name string) *Form {
	t.Helper()
	for i := range p.Forms {
		f := &p.Forms[i]
		if f.Values.Has(name) {
			return f
		}
		for _, b := range f.Buttons {
			if b.Name == name {
				return f
			}
		}
	}
	t.Fatalf("the page %s (%d) has no form with %q:\n%s", p.URL, p.Status, name, p.Body)
	return nil
}

// Submit fills in and sends a form. set are name, value, ….
func (b *Browser) Submit(t testing.TB, f *Form, set ...string) *Page {
	t.Helper()
	values := url.Values{}
	for name, v := range f.Values {
		values[name] = v
	}
	for i := 0; i+1 < len(set); i += 2 {
		values.Set(set[i], set[i+1])
	}
	if strings.EqualFold(f.Method, http.MethodGet) {
		u := *f.Action
		u.RawQuery = values.Encode()
		return b.Get(t, u.String())
	}
	return b.Post(t, f.Action.String(), values)
}

// parseForms reads the forms of a page with what their fields hold.
func parseForms(body string, base *url.URL) []Form {
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return nil
	}
	var forms []Form
	var walk func(n *html.Node, in int)
	walk = func(n *html.Node, in int) {
		if n.Type == html.ElementNode {
			a := attributes(n)
			switch n.Data {
			case "form":
				action, err := base.Parse(a["action"])
				if err != nil {
					action = base
				}
				method := a["method"]
				if method == "" {
					method = http.MethodGet
				}
				forms = append(forms, Form{ID: a["id"], Method: method, Action: action, Values: url.Values{}, WebAuthn: a["data-webauthn"], Begin: a["data-begin"]})
				in = len(forms) - 1
			case "input":
				_, checked := a["checked"]
				if box := a["type"] == "checkbox" || a["type"] == "radio"; in >= 0 && a["name"] != "" && (!box || checked) {
					forms[in].Values.Add(a["name"], a["value"])
				}
			case "button":
				if in >= 0 {
					forms[in].Buttons = append(forms[in].Buttons, Button{a["id"], a["name"], a["value"]})
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, in)
		}
	}
	walk(doc, -1)
	return forms
}

func attributes(n *html.Node) map[string]string {
	out := make(map[string]string, len(n.Attr))
	for _, a := range n.Attr {
		out[a.Key] = a.Val
	}
	return out
}
