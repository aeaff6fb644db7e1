package templates

import (
	"hash/fnv"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// text is a value that others chose, made fit to show.
type text struct {
	Short string
	Full  string
	Cut   bool // Short is not all of it
}

// shorten cleans s and cuts it in the middle to at most limit characters: the
// ends of names and addresses are what tells them apart.
func shorten(s string, limit int) text {
	s = clean(s)
	runes := []rune(s)
	if len(runes) <= limit {
		return text{Short: s, Full: s}
	}
	head, tail := (limit-1+1)/2, (limit-1)/2
	start, end := runes[:head], runes[len(runes)-tail:]
	// A combining mark belongs to the letter before it.
	for len(end) > 0 && unicode.Is(unicode.M, end[0]) {
		end = end[1:]
	}
	short := strings.TrimSpace(string(start)) + "…" + strings.TrimSpace(string(end))
	return text{Short: short, Full: s, Cut: true}
}

// clean removes what lets a name pretend to be other text: control characters,
// direction overrides and invisible ones. Runs of white space become one space.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == unicode.ReplacementChar,
			r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, // direction overrides and isolates
			r == 0x200b, r == 0x200e, r == 0x200f, r == 0x061c, r == 0x2060, r == 0xfeff:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// initial is the letter on the tile of something without a picture.
func initial(s string) string {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}

// hue picks one of the tile colours (hue-0 to hue-5 in css/content.css), the same
// one for the same name.
func hue(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32() % 6
}

// link returns s if a page may link there: http, https, or a path of this
// server. Else "", and the page leaves the link out.
func link(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil, strings.ContainsAny(s, "\\\t\r\n"):
		return ""
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return s
	case localPath(s):
		return s
	}
	return ""
}

// localPath reports whether a browser reads s as a path of this server.
// "//host" and "/\host" lead elsewhere.
func localPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.ContainsAny(s, "\\\t\r\n")
}

var imageData = regexp.MustCompile(`^data:image/(png|jpeg|webp|gif|svg\+xml);base64,[A-Za-z0-9+/]+=*$`)

// maxLogo bounds a data: logo, which every page carries: 32 KiB in base64.
const maxLogo = 44 << 10

// logo returns s if a page may show it as a picture without asking another
// server: a path, or the image itself. Scripts in an SVG do not run in <img>.
func logo(s string) template.URL {
	if localPath(s) || len(s) <= maxLogo && imageData.MatchString(s) {
		return template.URL(s)
	}
	return ""
}

// lines splits the developers' detail, dropping empty lines.
func lines(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
}
