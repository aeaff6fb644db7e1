package templates

import (
	"strings"
	"time"
)

// DevMail is /dev/mail: what development would have sent, the newest first.
type DevMail struct {
	Letters []DevLetter
	Now     time.Time
}

// DevLetter is one mail, told in its text part.
type DevLetter struct {
	ID      string // it is shown as HTML at /dev/mail/{ID}
	To      string // the address
	Name    string
	Subject string
	Text    string
	At      time.Time
	Waiting bool // the worker has not taken it yet
}

func (p DevMail) page() (string, string) { return "devmail", "Mail that was not sent" }

// Moment is at as of when the page was made.
func (p DevMail) Moment(at time.Time) Moment { return Moment{at, p.Now} }

// Span is a stretch of text, or a link.
type Span struct{ Text, Link string }

// Spans are the text taken apart at its links.
func (l DevLetter) Spans() []Span {
	var spans []Span
	for line := range strings.SplitAfterSeq(l.Text, "\n") {
		bare := strings.TrimSuffix(line, "\n")
		if link := mailLink(bare); link != "" {
			spans = append(spans, Span{Text: bare, Link: link}, Span{Text: line[len(bare):]})
			continue
		}
		spans = append(spans, Span{Text: line})
	}
	return spans
}
