package templates

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

func letter(t *testing.T, tmpl *Templates, m Mail) Letter {
	t.Helper()
	l, err := tmpl.RenderMail(m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func acme(t *testing.T) *Templates {
	t.Helper()
	return newTemplates(t, Brand{Name: "Acme ID", SupportEmail: "help@acme.example"})
}

// textOf is what a person reads of a document.
func textOf(t *testing.T, document string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" && n.Parent.Data != "title" {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// RS-07: whatever a stranger calls himself stays words: no header, markup, link,
// template or change of direction, in either part.
func TestHostileNamesStayWordsInMails(t *testing.T) {
	tmpl := acme(t)
	for _, payload := range []string{
		"Bob\r\nBcc: all@evil.example", "\u202egnp.exe", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "{{.Link}}", "</td></tr></table>",
		"javascript:alert(1)", "https://evil.example/", "www.evil.example", "visit evil.example now", "a@evil.example", "\x00\x1b[31m\x7f", "<!--[if mso]><b>", "//evil.example",
	} {
		for _, m := range filledMails(payload) {
			checkMailHarmless(t, payload, m, letter(t, tmpl, m))
		}
	}
}

func filledMails(s string) []Mail {
	var filled []Mail
	for _, m := range mails() {
		v := reflect.New(reflect.TypeOf(m)).Elem()
		fill(v, s)
		filled = append(filled, v.Interface().(Mail))
	}
	return filled
}

var (
	// What mail programs make a link of.
	autolink = regexp.MustCompile(`(?i)(https?://|www\.|@)evil|\bevil\.example|@evil`)
	brandRow = regexp.MustCompile(`help@acme\.example`)
)

func checkMailHarmless(t *testing.T, payload string, m Mail, l Letter) {
	t.Helper()
	if strings.ContainsAny(l.Subject, "\r\n") || strings.Contains(l.HTML, "ZgotmplZ") {
		t.Errorf("%T with %q: subject %q", m, payload, l.Subject)
	}
	for _, part := range []string{l.Subject, l.Text, l.HTML} {
		bad := func(r rune) bool {
			return r != '\n' && (unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069)
		}
		if i := strings.IndexFunc(part, bad); i >= 0 || !utf8.ValidString(part) {
			t.Errorf("%T with %q: a control character at %d", m, payload, i)
		}
	}
	links := MailLinks(m) // what an honest caller passed is shown as it is
	read := brandRow.ReplaceAllString(textOf(t, l.HTML)+l.Text+l.Subject, "")
	for _, link := range links {
		if mailLink(link) != "" {
			read = strings.ReplaceAll(read, link, "")
		}
	}
	if found := autolink.FindString(read); found != "" {
		t.Errorf("%T with %q: %q becomes a link", m, payload, found)
	}
	for _, n := range elements(t, l.HTML) {
		if n.Data == "script" || n.Data == "img" || n.Data == "iframe" {
			t.Errorf("%T with %q: a <%s>", m, payload, n.Data)
		}
		for _, a := range n.Attr {
			href := a.Key == "href" && !strings.HasPrefix(a.Val, "mailto:help@") && mailLink(a.Val) == ""
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || href {
				t.Errorf("%T with %q: <%s %s=%q>", m, payload, n.Data, a.Key, a.Val)
			}
		}
	}
}

func TestMailLinksLeadToTheWebAlone(t *testing.T) {
	for _, bad := range []string{"", "javascript:alert(1)", "//evil.example", "/verify", "https://", "https://a@b/", "https://id.example/\r\nBcc: x", "https://id.example/ x", "https://id.example/\u202e", `https://id.example/"x`, "mailto:a@b"} {
		if got := mailLink(bad); got != "" {
			t.Errorf("mailLink(%q): got %q, want none", bad, got)
		}
	}
	for _, good := range []string{"http://localhost:5000/verify?token=a-b_c", "https://id.example/x#y"} {
		if mailLink(good) != good {
			t.Errorf("mailLink(%q): got none", good)
		}
	}
}

func TestSpansAreSaidInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{30 * time.Minute: "30 minutes", time.Hour: "1 hour", 24 * time.Hour: "24 hours", 7 * 24 * time.Hour: "7 days", time.Minute: "1 minute", 90 * time.Second: "2 minutes"} {
		if got := span(d); got != want {
			t.Errorf("span(%v): got %q, want %q", d, got, want)
		}
	}
}

// Brands are bright and pale; the button must be readable in both schemes.
func TestButtonsOfMailsAreReadable(t *testing.T) {
	for _, color := range []string{"", "#ffff00", "#000000", "#ffffff", "#ff00ff"} {
		tmpl := newTemplates(t, Brand{Color: color})
		for _, a := range []accent{tmpl.look.Load().accents.light, tmpl.look.Load().accents.dark} {
			if c := contrast(a.text, a.fill); c < textContrast {
				t.Errorf("%q: contrast %v", color, c)
			}
		}
		if page := letter(t, tmpl, NewDevice{AccountLink: "https://id.example/account"}).HTML; !strings.Contains(page, "color:"+tmpl.look.Load().accents.light.text.String()) {
			t.Errorf("%q: the button's text is not %v", color, tmpl.look.Load().accents.light.text)
		}
	}
}
