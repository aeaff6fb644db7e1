package templates

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed static css
var staticFiles embed.FS

// stylesheet is the one that every page links to: the brand's accents and the
// files of the css folder in this order.
const stylesheet = "sallyport.css"

var sheets = []string{"css/tokens.css", "css/frame.css", "css/controls.css", "css/content.css", "css/people.css", "css/factors.css", "css/account.css", "css/connections.css", "css/setup.css", "css/mail.css"}

// contentTypes are the kinds of file that are served; no guessing by content.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// static serves files under names that carry a hash of their content.
type static struct{ files atomic.Pointer[files] }

type files map[string]asset

type asset struct {
	content []byte
	hash    string // 12 hexadecimal digits of the content's SHA-256
}

// paint makes the files anew, in the brand's accents.
func (s *static) paint(a accents) error {
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		return err
	}
	made := files{}
	for _, e := range entries {
		content, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			return err
		}
		if path.Ext(e.Name()) == ".svg" {
			// A picture in a tab cannot read the page's custom properties.
			content = bytes.ReplaceAll(content, []byte(defaultColor), []byte(a.light.fill.String()))
		}
		made.add(e.Name(), content)
	}
	css := []byte(a.css())
	for _, name := range sheets {
		content, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		css = append(css, content...)
	}
	made.add(stylesheet, css)
	s.files.Store(&made)
	return nil
}

func (f files) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	f[name] = asset{content, hex.EncodeToString(sum[:6])}
}

// url is where a file of the static folder is served.
func (s *static) url(name string) (string, error) {
	a, ok := (*s.files.Load())[name]
	if !ok {
		return "", fmt.Errorf("no static file %s", name)
	}
	ext := path.Ext(name)
	return "/static/" + strings.TrimSuffix(name, ext) + "." + a.hash + ext, nil
}

// Static serves the files that the pages use, GET /static/…, to be mounted with
// the prefix in place. Names carry a hash of the content, so that browsers keep
// them for ever. A name with another hash gets today's file uncached: while
// nodes are being updated, a page of one may ask the other.
func (t *Templates) Static() http.Handler { return t.static }

// ServeHTTP answers GET and HEAD; see Templates.Static.
func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, hash := splitHash(strings.TrimPrefix(r.URL.Path, "/static/"))
	a, ok := (*s.files.Load())[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("ETag", `"`+a.hash+`"`)
	h.Set("Cache-Control", "no-cache")
	if hash == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.content))
}

// splitHash takes name.HASH.ext apart.
func splitHash(file string) (name, hash string) {
	ext := path.Ext(file)
	base := strings.TrimSuffix(file, ext)
	hash = strings.TrimPrefix(path.Ext(base), ".")
	return strings.TrimSuffix(base, "."+hash) + ext, hash
}
