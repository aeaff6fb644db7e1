// Package templates is the face of the product: every page a person meets, as
// one Go struct (its contract) and one HTML file, in one layout.
//
// A page is rendered whole into memory, so that a fault never leaves half a
// page behind, and the caller writes status and headers:
//
//	html, err := t.Render(templates.Login{AppName: "Acme Portal", CSRF: token})
//
// Promises that hold for all pages, whatever the data:
//
//   - They work without JavaScript, and hold no inline script, style, event
//     handler or style attribute, so that a content security policy of 'self'
//     is enough. Nothing is requested from another origin.
//   - Every value is escaped for its place. Links lead to http, https or a path
//     of this server; anything else (javascript:, data:) is left out.
//   - Names that others chose are stripped of control and direction-override
//     characters, isolated, and shortened in the middle; the host a person
//     will be sent to is always shown whole.
//   - Element ids and names are stable: tests and password managers use them.
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// DefaultName is the product's name where an operator gives none.
const DefaultName = "Sallyport"

// Brand is how an installation presents itself. The zero value is Sallyport.
type Brand struct {
	Name         string // as people say it; DefaultName if empty
	Logo         string // a path on this server ("/…") or a data:image/…;base64 URL (PNG, JPEG, WebP, GIF, SVG); empty for a plain mark
	Color        string // the accent, "#rgb" or "#rrggbb"; empty for the default
	SupportEmail string // shown in the small print; may be empty
}

// Templates holds every page, parsed, and the static files they use. Only SetBrand
// changes it after New; it may be used by many goroutines.
type Templates struct {
	look   atomic.Pointer[look]
	pages  *template.Template // what all pages share, and "FILE/PLACE" for each place that a page fills
	static *static
	mails  func() (map[string]mailTemplate, error) // parses them, once
}

// look is a brand, made ready.
type look struct {
	brand   Brand
	logo    template.URL
	accents accents
}

// Page is one of this package's page structs.
type Page interface {
	// page names the HTML file and gives the title.
	page() (file, title string)
}

//go:embed html/*.html
var htmlFiles embed.FS

// New parses all pages and prepares the static files for a brand. It fails if
// the brand's colour or logo cannot be used; the error says what would do.
func New(brand Brand) (*Templates, error) {
	t := &Templates{static: &static{}, mails: sync.OnceValues(parseMails)}
	if err := t.SetBrand(brand); err != nil {
		return nil, err
	}
	var err error
	if t.pages, err = parse(t.static); err != nil {
		return nil, err
	}
	return t, nil
}

// SetBrand makes every page and mail from now on look like that. It fails as New
// does, and then nothing has changed.
func (t *Templates) SetBrand(brand Brand) error {
	if brand.Name == "" {
		brand.Name = DefaultName
	}
	accent, err := newAccent(brand.Color)
	if err != nil {
		return err
	}
	l := &look{brand: brand, logo: logo(brand.Logo), accents: accent}
	if brand.Logo != "" && l.logo == "" {
		return fmt.Errorf("brand logo: want a path on this server (/…) or a data:image/…;base64 URL, so that no page asks another server for it")
	}
	if err := t.static.paint(accent); err != nil {
		return err
	}
	t.look.Store(l)
	return nil
}

// shared are the files whose definitions every page may use.
var shared = []string{"html/layout.html", "html/parts.html", "html/fields.html", "html/icons.html", "html/factorparts.html", "html/accountparts.html", "html/setupparts.html"}

// layout is the order of a page: each of these is a template of layout.html, or the
// page's own of that name. One set of templates holds all pages that way; a copy of
// the layout for each of them would take three times the memory.
var layout = []string{"open", "scripts", "top", "main", "foot", "small-print", "close"}

func parse(s *static) (*template.Template, error) {
	funcs := template.FuncMap{
		"asset":   s.url,
		"link":    link,
		"name":    func(s string) text { return shorten(s, 40) },
		"email":   func(s string) text { return shorten(s, 34) },
		"initial": initial,
		"hue":     hue,
		"logo":    logo,
		"lines":   lines,
	}
	all, err := template.New("").Funcs(funcs).ParseFS(htmlFiles, shared...)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(htmlFiles, "html/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if slices.Contains(shared, file) {
			continue
		}
		page, err := template.New("").Funcs(funcs).ParseFS(htmlFiles, file)
		if err != nil {
			return nil, err
		}
		if err := add(all, strings.TrimSuffix(path.Base(file), ".html"), page); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// add gives a page's definitions to all: those of the layout under the page's
// name, helpers of its own under theirs.
func add(all *template.Template, file string, page *template.Template) error {
	for _, t := range page.Templates() {
		name := t.Name()
		switch {
		case t.Tree == nil || name == file+".html":
			continue
		case slices.Contains(layout, name):
			name = file + "/" + name
		case all.Lookup(name) != nil:
			return fmt.Errorf("html/%s.html defines %q, which is defined already", file, name)
		}
		if _, err := all.AddParseTree(name, t.Tree); err != nil {
			return err
		}
	}
	return nil
}

// view is what the layout sees: the page's struct and what surrounds it.
type view struct {
	Brand Brand
	Logo  template.URL
	Title string
	Name  string
	Page  Page
}

// Render returns the whole HTML document of a page, UTF-8. An error is a fault
// of this package, never of the data.
func (t *Templates) Render(page Page) ([]byte, error) {
	file, title := page.page()
	if t.pages.Lookup(file+"/main") == nil {
		return nil, fmt.Errorf("render %T: no html/%s.html", page, file)
	}
	l := t.look.Load()
	if title == "" {
		title = l.brand.Name
	}
	var b bytes.Buffer
	v := view{Brand: l.brand, Logo: l.logo, Title: clean(title), Name: file, Page: page}
	for _, place := range layout {
		tmpl := t.pages.Lookup(file + "/" + place)
		if tmpl == nil {
			tmpl = t.pages.Lookup(place)
		}
		if err := tmpl.Execute(&b, v); err != nil {
			return nil, fmt.Errorf("render %T: %w", page, err)
		}
	}
	return b.Bytes(), nil
}
