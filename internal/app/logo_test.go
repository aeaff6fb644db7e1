package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	imagepng "image/png"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// logoSite serves pictures as another server would, and counts what is asked of it.
type logoSite struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked atomic.Int64
}

func newLogoSite(t *testing.T) *logoSite {
	site := &logoSite{files: map[string][]byte{}}
	site.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site.asked.Add(1)
		site.mu.Lock()
		defer site.mu.Unlock()
		switch body, ok := site.files[r.URL.Path]; {
		case r.URL.Path == "/redirect":
			http.Redirect(w, r, "/wide.png", http.StatusFound)
		case !ok:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "image/png") // whatever it is
			w.Write(body)
		}
	}))
	t.Cleanup(site.Close)
	return site
}

func (site *logoSite) put(path string, body []byte) {
	site.mu.Lock()
	defer site.mu.Unlock()
	site.files[path] = body
}

func picture(w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		m.Set(x, 0, color.NRGBA{R: 200, G: uint8(x), A: 255})
	}
	return m
}

func pngOf(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := imagepng.Encode(&b, picture(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fromBase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logoClients registers a client for each path of the site, named as the path is.
func logoClients(site *logoSite, paths ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\nclients:\n")
	for _, path := range paths {
		fmt.Fprintf(&b, "  - {client_id: %q, client_name: Logo, secret: secret-of-logo-Zr8wq1LkVbX0, redirect_uris: [https://logo.example/cb], logo_uri: %q}\n",
			strings.Trim(path, "/"), site.URL+path)
	}
	return b.String()
}

// fetched fetches what is due, and has the server know it at once.
func fetched(t *testing.T, s *harness.Server) {
	t.Helper()
	if err := s.App.Logos.FetchDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// logoOnPage is the picture that a page shows for an app; "" for its letter.
func logoOnPage(p *harness.Page) string {
	if found := regexp.MustCompile(`<img class="tile[^"]*" src="([^"]*)"`).FindStringSubmatch(p.Body); found != nil {
		return found[1]
	}
	return ""
}

// Pages show the pictures that apps have registered, in a form of our own and from here alone: the app's server would
// learn of every sign-in, could change the picture, and could send a browser more than a picture.
func TestLogosAreFetchedOnceAndServedFromHere(t *testing.T) {
	site := newLogoSite(t)
	site.put("/wide.png", pngOf(t, 300, 200))
	site.put("/most.png", pngOf(t, 1024, 1024))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, picture(90, 400), nil); err != nil {
		t.Fatal(err)
	}
	// A comment that says where the picture was taken.
	site.put("/photo.jpg", append([]byte("\xff\xd8\xff\xfe\x00\x0ecanary-metad"), photo.Bytes()[2:]...))
	site.put("/lossless.webp", fromBase64(t, "UklGRiIAAABXRUJQVlA4TBUAAAAvB8AAEA8wbqMwXPMf8Lj/f0T/wwEA"))
	site.put("/extended.webp", fromBase64(t, "UklGRmgAAABXRUJQVlA4WAoAAAAYAAAABwAAAwAAQUxQSA0AAAABDzD/ERHi/v8R/Q8HAFZQOCAmAAAAcAEAnQEqCAAEAALATCWgAnQBdQAA/u4KNse4P/4D+Jf2BYgAAABFWElGBgAAAGNhbmFyeQ=="))
	good := map[string]image.Point{"/wide.png": {X: 128, Y: 85}, "/most.png": {X: 128, Y: 128}, "/photo.jpg": {X: 28, Y: 128}, "/lossless.webp": {X: 8, Y: 4}, "/extended.webp": {X: 8, Y: 4}}
	harness.EachEngine(t, harness.Options{Count: true, Clients: logoClients(site, "/wide.png", "/most.png", "/photo.jpg", "/lossless.webp", "/extended.webp")}, func(t *testing.T, s *harness.Server) {
		rp := s.RP("wide.png", "secret-of-logo-Zr8wq1LkVbX0", "https://logo.example/cb", "openid")
		b := s.Browser(t)
		if got := logoOnPage(b.Get(t, rp.Authorize(nil).URL)); got != "" {
			t.Errorf("before it is fetched the page shows %s", got)
		}
		fetched(t, s)
		before := site.asked.Load()
		for path, size := range good {
			c, err := s.App.Registry.Client(t.Context(), strings.Trim(path, "/"))
			if err != nil || c.LogoPath() == "" {
				t.Errorf("%s is not there: %v", path, err)
				continue
			}
			p := s.Browser(t).Get(t, c.LogoPath())
			got, err := imagepng.DecodeConfig(strings.NewReader(p.Body))
			if err != nil || got.Width != size.X || got.Height != size.Y || strings.Contains(p.Body, "canary") {
				t.Errorf("%s: got %d × %d, %v, want %v and no metadata", path, got.Width, got.Height, err, size)
			}
			for name, want := range map[string]string{"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=31536000, immutable",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"} {
				if got := p.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
		r := rp.Authorize(nil)
		page := b.Get(t, r.URL)
		shown := logoOnPage(page)
		agree := b.Submit(t, page.Form(t, "login"), "email", harness.Bob.Email, "password", harness.Bob.Password)
		b.Submit(t, agree.Form(t, "consent"), "answer", "allow")
		apps := b.Get(t, "/account/apps")
		for name, p := range map[string]*harness.Page{"sign-in": page, "consent": agree, "connected apps": apps} {
			if got := logoOnPage(p); got != shown || !strings.HasPrefix(got, "/logos/") || strings.Contains(p.Body, site.URL) {
				t.Errorf("the %s page shows %q, want %q and nothing of another server", name, got, shown)
			}
		}
		if site.asked.Load() != before {
			t.Error("a page asked the app's server")
		}
		for _, path := range []string{"/logos/", "/logos/x.png", "/logos/0123456789abcdef0123456789abcdef.png", strings.TrimSuffix(shown, ".png"), shown + ".svg"} {
			if p := b.Get(t, path); p.Status != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", path, p.Status)
			}
		}
		testLogosThatGo(t, s, site, shown)
	})
}

// testLogosThatGo: a picture is there for as long as its registration is.
func testLogosThatGo(t *testing.T, s *harness.Server, site *logoSite, shown string) {
	status := func(path string) int { return s.Browser(t).Get(t, path).Status }
	other, err := s.App.Registry.Client(t.Context(), "photo.jpg")
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(logoClients(site, "/wide.png"), ", logo_uri: ", ", client_uri: ", 1)
	s.Apply(t, without+strings.TrimPrefix(logoClients(site, "/photo.jpg", "/lossless.webp"), "version: 1\nclients:\n"))
	if status(shown) != http.StatusNotFound || status(other.LogoPath()) != http.StatusOK {
		t.Errorf("without its logo_uri: got %d, and %d for another", status(shown), status(other.LogoPath()))
	}
	s.Apply(t, without) // a client of the file is deleted after it has left that
	if err := s.App.Identity.Clients.Delete(t.Context(), identity.Operator(), "photo.jpg"); err != nil {
		t.Fatal(err)
	}
	if got := status(other.LogoPath()); got != http.StatusNotFound {
		t.Errorf("of a deleted client: got %d", got)
	}
}

// A file that cannot be a logo is refused before it is decoded, told to the operator with its cause, and not tried for
// ever.
func TestLogosThatCannotBeShownSayWhy(t *testing.T) {
	site := newLogoSite(t)
	huge := pngOf(t, 1, 1)
	copy(huge[16:24], "\x00\x00\x40\x00\x00\x00\x40\x00") // what IHDR says: 16384 × 16384
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	bomb := fromBase64(t, "UklGRmgAAABXRUJQVlA4WAoAAAAYAAAABwAAAwAAQUxQSA0AAAABDzD/ERHi/v8R/Q8HAFZQOCAmAAAAcAEAnQEqCAAEAALATCWgAnQBdQAA/u4KNse4P/4D+Jf2BYgAAABFWElGBgAAAGNhbmFyeQ==")
	at := bytes.Index(bomb, []byte("\x9d\x01\x2a"))
	copy(bomb[at+3:], "\xff\x3f\xff\x3f") // the frame says 16383 × 16383, the canvas still 8 × 4
	var animation bytes.Buffer
	if err := gif.Encode(&animation, picture(9, 9), nil); err != nil {
		t.Fatal(err)
	}
	half := pngOf(t, 64, 64)
	for path, body := range map[string][]byte{"/a.svg": []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), "/bare.svg": []byte("<svg/>"),
		"/large.png": pngOf(t, 1025, 1024), "/huge.png": huge, "/frame.webp": bomb, "/a.gif": animation.Bytes(), "/page.png": []byte("<!doctype html><title>Sign in</title>"),
		"/half.png": half[:len(half)/2], "/heavy.png": append(pngOf(t, 2, 2), make([]byte, 2<<20)...), "/empty.png": {}} {
		site.put(path, body)
	}
	causes := map[string]string{"/a.svg": "it is an SVG", "/bare.svg": "it is an SVG", "/large.png": "it has 1025 × 1024 pixels", "/huge.png": "it has 16384 × 16384 pixels",
		"/frame.webp": "it has 16383 × 16383 pixels", "/a.gif": "it is no PNG, JPEG or WebP but image/gif", "/page.png": "but text/html", "/half.png": "it is damaged",
		"/heavy.png": "the answer is too large", "/empty.png": "it is no PNG"}
	passing := map[string]string{"/missing.png": "it answers 404", "/redirect": "it redirects (302)"}
	var paths []string
	for _, all := range []map[string]string{causes, passing} {
		for path := range all {
			paths = append(paths, path)
		}
	}
	s := harness.Start(t, storage.SQLite, harness.Options{Count: true, Clients: logoClients(site, paths...)})
	fetched(t, s)
	for _, all := range []map[string]string{causes, passing} {
		for path, cause := range all {
			l, err := s.App.Store.Logos.Get(t.Context(), strings.Trim(path, "/"))
			if err != nil || !strings.Contains(l.Problem, cause) || l.Fetched || l.DueAt.IsZero() != (passing[path] == "") {
				t.Errorf("%s: got %+v, %v, want %q", path, l, err, cause)
			}
			if !strings.Contains(s.Log.String(), cause) {
				t.Errorf("%s: the log does not say %q", path, cause)
			}
		}
	}
	before := site.asked.Load()
	fetched(t, s)
	for range 10 { // each longer than the longest pause
		s.Clock.Advance(24 * time.Hour)
		fetched(t, s)
	}
	if got, want := site.asked.Load()-before, int64(6*len(passing)); got != want {
		t.Errorf("%d more tries, want %d", got, want)
	}
	// A change of the registration has it tried again.
	site.put("/missing.png", pngOf(t, 5, 5))
	s.Apply(t, strings.Replace(logoClients(site, "/missing.png"), "client_name: Logo", "client_name: Changed", 1))
	fetched(t, s)
	if c, err := s.App.Registry.Client(t.Context(), "missing.png"); err != nil || c.LogoPath() == "" {
		t.Errorf("after a change: %+v, %v", c, err)
	}
}

// A logo_uri is an address that whoever registers a client chooses: it must not reach what only this server can.
func TestLogosAreNotFetchedFromInside(t *testing.T) {
	site := newLogoSite(t)
	site.put("/wide.png", pngOf(t, 3, 2))
	clients := logoClients(site, "/wide.png") + "  - {client_id: metadata, secret: secret-of-logo-Zr8wq1LkVbX0, redirect_uris: [https://logo.example/cb], logo_uri: \"https://169.254.169.254/latest\"}\n" +
		"  - {client_id: name, secret: secret-of-logo-Zr8wq1LkVbX0, redirect_uris: [https://logo.example/cb], logo_uri: \"https://localhost:8443/x.png\"}\n"
	s := harness.Start(t, storage.SQLite, harness.Options{Count: true, Clients: clients, Environ: []string{"SALLYPORT_OUTBOUND_ALLOW=10.0.0.0/8"}})
	fetched(t, s)
	for _, client := range []string{"wide.png", "metadata", "name"} {
		if l, err := s.App.Store.Logos.Get(t.Context(), client); err != nil || !strings.Contains(l.Problem, "cannot be reached at a public address") {
			t.Errorf("%s: got %+v, %v", client, l, err)
		}
	}
	if n := site.asked.Load(); n != 0 {
		t.Errorf("the server inside was asked %d times", n)
	}
}
