package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/request"
)

//go:embed mail/*.html mail/*.txt
var mailFiles embed.FS

// Letter is a rendered mail: one line of subject, and twice the same text.
type Letter struct {
	Subject string
	HTML    string
	Text    string
}

// mailTemplate is a mail's two files, each with its layout.
type mailTemplate struct {
	html *template.Template
	text *texttemplate.Template
}

// mailNames are the functions of both kinds of file: whatever strangers chose
// goes through name, whatever this product says in words through words.
func mailNames() map[string]any {
	return map[string]any{"name": mailName, "words": mailWords, "day": day, "span": span, "link": mailLink}
}

func parseMails() (map[string]mailTemplate, error) {
	html, err := template.New("mail").Funcs(mailNames()).Funcs(template.FuncMap{
		"style": mailStyle, "initial": initial, "mso": mso, "msoOpen": msoOpen, "msoClose": msoClose, "msoPad": msoPad,
	}).ParseFS(mailFiles, "mail/layout.html")
	if err != nil {
		return nil, err
	}
	text, err := texttemplate.New("mail").Funcs(mailNames()).ParseFS(mailFiles, "mail/layout.txt")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(mailFiles, "mail/*.txt")
	if err != nil {
		return nil, err
	}
	all := make(map[string]mailTemplate)
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".txt")
		if name == "layout" {
			continue
		}
		var m mailTemplate
		if m, err = parseMail(html, text, name); err != nil {
			return nil, err
		}
		all[name] = m
	}
	return all, nil
}

func parseMail(html *template.Template, text *texttemplate.Template, name string) (m mailTemplate, err error) {
	if m.html, err = html.Clone(); err != nil {
		return m, err
	}
	if m.html, err = m.html.ParseFS(mailFiles, "mail/"+name+".html"); err != nil {
		return m, err
	}
	if m.text, err = text.Clone(); err != nil {
		return m, err
	}
	m.text, err = m.text.ParseFS(mailFiles, "mail/"+name+".txt")
	return m, err
}

// fact is a line of the table below a mail's text.
type fact struct{ Name, Value string }

// palette is an accent as style attributes take it. The values are made by
// newAccent from a checked colour, never by a stranger.
type palette struct{ Fill, Text, Edge, Ink template.CSS }

// letterView is what the layouts see.
type letterView struct {
	Brand, Support   string
	Subject, Heading string
	Rule             string // as long as Heading
	Preheader        string // what mail clients show beside the subject
	Action, Link     string
	ValidFor         time.Duration
	Name             string
	Unasked          string
	Facts            []fact
	Light, Dark      palette
	Font             template.CSS
	Mail             Mail
}

// RenderMail renders a mail in this installation's brand. An error is a fault of
// this package, never of the data.
func (t *Templates) RenderMail(m Mail) (Letter, error) {
	file, f := m.mail()
	mails, err := t.mails()
	if err != nil {
		return Letter{}, err
	}
	tmpl, ok := mails[file]
	if !ok {
		return Letter{}, fmt.Errorf("render %T: no mail/%s.txt", m, file)
	}
	l := t.look.Load()
	v := letterView{Brand: clean(l.brand.Name), Support: clean(l.brand.SupportEmail), ValidFor: f.validFor, Name: f.name, Facts: facts(f.from),
		Link: mailLink(f.link), Light: l.accents.light.palette(), Dark: l.accents.dark.palette(), Font: mailFont, Mail: m}
	for _, part := range []struct {
		name string
		into *string
	}{{"subject", &v.Subject}, {"heading", &v.Heading}, {"action", &v.Action}, {"unasked", &v.Unasked}, {"body", &v.Preheader}} {
		var b strings.Builder
		if err := tmpl.text.ExecuteTemplate(&b, part.name, v); err != nil {
			return Letter{}, fmt.Errorf("render %T: %w", m, err)
		}
		*part.into = strings.Join(strings.Fields(b.String()), " ")
	}
	v.Rule = strings.Repeat("=", min(utf8.RuneCountInString(v.Heading), textWidth))
	var text strings.Builder
	if err := tmpl.text.ExecuteTemplate(&text, "layout", v); err != nil {
		return Letter{}, fmt.Errorf("render %T: %w", m, err)
	}
	var html bytes.Buffer
	if err := tmpl.html.ExecuteTemplate(&html, "layout", v); err != nil {
		return Letter{}, fmt.Errorf("render %T: %w", m, err)
	}
	return Letter{Subject: v.Subject, HTML: html.String(), Text: wrap(text.String())}, nil
}

func (a accent) palette() palette {
	return palette{Fill: template.CSS(a.fill.String()), Text: template.CSS(a.text.String()),
		Edge: template.CSS(a.edge.String()), Ink: template.CSS(a.ink.String())}
}

// facts are the lines that say when and from where.
func facts(o request.Info) []fact {
	var all []fact
	if !o.At.IsZero() {
		all = append(all, fact{"When", o.At.UTC().Format("Monday, 2 January 2006, 15:04") + " UTC"})
	}
	if device := mailName(o.Device); device != "" {
		all = append(all, fact{"Device", device})
	}
	if network := mailName(o.Network); network != "" {
		all = append(all, fact{"Network", network})
	}
	return all
}

// How much of a name a mail shows: too little for an advertisement. Words of ours
// around a name get more.
const (
	maxMailName  = 48
	maxMailWords = 80
)

// linkish finds what mail programs make a link of by themselves.
var linkish = regexp.MustCompile(`(?i)://|www\.|[\pL\pN_-]\.[\pL]{2,}|@`)

// mailName makes a name that others chose fit for a mail: besides what clean
// removes, it cannot become a link. Otherwise an invitation or a registration with a
// stranger's address would make us deliver an advertisement.
func mailName(s string) string { return unlinked(shorten(s, maxMailName).Short) }

// mailWords is mailName for what this product composed, which may hold a
// stranger's name (a passkey “Laptop”).
func mailWords(s string) string { return unlinked(shorten(s, maxMailWords).Short) }

func unlinked(s string) string {
	if !linkish.MatchString(s) {
		return s
	}
	// A word joiner is invisible, and no part of any address.
	const joiner = "\u2060"
	return strings.NewReplacer(".", "."+joiner, ":", ":"+joiner, "@", "@"+joiner).Replace(s)
}

// mailLink returns s if a mail may link there: http or https, without anything
// that ends a line or an attribute. Else "", and the mail has no button.
func mailLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.ContainsFunc(s, notInLinks) {
		return ""
	}
	return s
}

// notInLinks is everything RFC 3986 has no room for.
func notInLinks(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// span says a duration in the largest unit that is exact.
func span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		// 24 hours say more about tonight than "1 day".
		if n := d / unit.length; d%unit.length == 0 && (n > 1 || unit.length == time.Minute || unit.length == time.Hour && n == 1) {
			return plural(int(n), unit.name)
		}
	}
	return plural(int((d+time.Minute-1)/time.Minute), "minute")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// textWidth is where lines of text end; links are never broken.
const textWidth = 72

// wrap breaks lines between words, and leaves no more than one empty line
// between paragraphs.
func wrap(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		if line == "-- " { // the mark of a signature ends in a space
			out = append(out, line)
			continue
		}
		out = append(out, wrapLine(line)...)
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}

func wrapLine(line string) []string {
	var lines []string
	current := ""
	for word := range strings.FieldsSeq(line) {
		if current != "" && utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) > textWidth {
			lines, current = append(lines, current), ""
		}
		if current != "" {
			current += " "
		}
		current += word
	}
	return append(lines, current)
}
