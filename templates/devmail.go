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

// devMailSamples are usual, longest and emptiest.
func devMailSamples() []Sample {
	at := time.Date(2026, 6, 12, 14, 3, 0, 0, time.UTC)
	text := "Reset your password\n===================\n\nHello Bob Builder,\n\nPress the button to choose a new password.\n\nChoose a new password:\nhttp://localhost:5000/recover/reset?token=bQ3v0yqkU5r1x2m8n4p6s7t9w0z1a2b3c4d5e6f7g8h\n\nThe link works for 30 minutes, and once.\n"
	return []Sample{
		{"devmail", DevMail{Now: at.Add(time.Minute), Letters: []DevLetter{
			{ID: "0197652c-0000-7000-8000-000000000002", To: "bob@acme-corp.com", Name: "Bob Builder", Subject: "Reset your Sallyport password", Text: text, At: at, Waiting: true},
			{ID: "0197652c-0000-7000-8000-000000000001", To: "alice@acme-corp.com", Subject: "New sign-in to your Sallyport account", Text: "New sign-in to your account\n===========================\n\nHello,\n", At: at.Add(-time.Hour)}}}},
		{"devmail-long", DevMail{Now: at, Letters: []DevLetter{{ID: "0197652c-0000-7000-8000-000000000003", To: longEmail, Name: longName, Subject: longName + " invites you to " + longName, Text: strings.Repeat(text, 3), At: at}}}},
		{"devmail-empty", DevMail{}},
	}
}
