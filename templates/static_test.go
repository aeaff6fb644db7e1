package templates

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	tmpl := newTemplates(t, Brand{Color: "#123456"})
	for name, kind := range map[string]string{
		"sallyport.css": "text/css; charset=utf-8",
		"password.js":   "text/javascript; charset=utf-8",
		"mark.svg":      "image/svg+xml",
	} {
		url, err := tmpl.static.url(name)
		if err != nil {
			t.Fatal(err)
		}
		w := get(t, tmpl.Static(), http.MethodGet, url)
		if got, want := w.Header().Get("Cache-Control"), "public, max-age=31536000, immutable"; w.Code != http.StatusOK || got != want {
			t.Errorf("%s: got %d, %q, want 200, %q", url, w.Code, got, want)
		}
		if got := w.Header().Get("Content-Type"); got != kind {
			t.Errorf("%s: got %q, want %q", url, got, kind)
		}
		etag := w.Header().Get("ETag")
		if got := get(t, tmpl.Static(), http.MethodGet, url, "If-None-Match", etag).Code; got != http.StatusNotModified {
			t.Errorf("%s with its ETag %s: got %d, want 304", url, etag, got)
		}
	}
}

func TestBrandColorIsInTheStylesheetAndItsName(t *testing.T) {
	one, other := newTemplates(t, Brand{Color: "#123456"}), newTemplates(t, Brand{Color: "#654321"})
	first, _ := one.static.url(stylesheet)
	second, _ := other.static.url(stylesheet)
	if first == second {
		t.Errorf("both brands use %s: a browser would keep the old colour", first)
	}
	if css := get(t, one.Static(), http.MethodGet, first).Body.String(); !strings.Contains(css, "--accent:#123456") {
		t.Error("the stylesheet does not hold the brand's colour")
	}
	// A page of a node with another version or brand asks this one.
	w := get(t, one.Static(), http.MethodGet, second)
	if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != "no-cache" {
		t.Errorf("another node's name: got %d, %q, want 200, no-cache", w.Code, got)
	}
}

func TestOnlyStaticFilesAreServed(t *testing.T) {
	h := newTemplates(t, Brand{}).Static()
	for _, url := range []string{
		"/static/", "/static/..", "/static/../templates.go", "/static/%2e%2e/html/login.html", "/static/nothing.css",
		"/static/html/login.html", "/static/sallyport", "/static/.css", "/static//sallyport.css", "/static/sallyport.css/",
	} {
		if got := get(t, h, http.MethodGet, url).Code; got != http.StatusNotFound {
			t.Errorf("GET %s: got %d, want 404", url, got)
		}
	}
	w := get(t, h, http.MethodPost, "/static/sallyport.css")
	if got := w.Header().Get("Allow"); w.Code != http.StatusMethodNotAllowed || got != "GET, HEAD" {
		t.Errorf("POST: got %d, Allow %q, want 405, GET, HEAD", w.Code, got)
	}
}
