package templates_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/templates"
	"github.com/sallyport-id/sallyport/templates/samples"
)

func TestMailsReadAsBefore(t *testing.T) {
	tmpl := templates.Acme(t)
	for _, s := range samples.Mails() {
		l := templates.RenderLetter(t, tmpl, s.Mail)
		for ext, got := range map[string]string{".html": l.HTML, ".txt": "Subject: " + l.Subject + "\n\n" + l.Text} {
			file := filepath.Join("testdata", s.Name+ext)
			if *templates.Update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; run go test ./templates -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got); if it is meant, run go test ./templates -update:\n%s", s.Name+ext, diff)
			}
		}
	}
}

// A mail says who, has the link as a button and as text, says how long it works, what
// to do if it was not them, when and from where; and it wears the operator's brand.
func TestMailsSayWhatAPersonNeeds(t *testing.T) {
	tmpl := templates.Acme(t)
	for _, s := range samples.Mails() {
		if strings.Count(s.Name, "-") > 1 { // the usual ones
			continue
		}
		f := templates.FrameOf(s.Mail)
		l := templates.RenderLetter(t, tmpl, s.Mail)
		wants := append([]string{"Acme ID", "help@acme.example"}, templates.MailLinks(s.Mail)...)
		if f.Name != "" {
			wants = append(wants, "Hello "+f.Name)
		}
		if f.ValidFor != 0 {
			wants = append(wants, templates.SpanWords(f.ValidFor))
		}
		if !f.From.At.IsZero() {
			wants = append(wants, "Friday, 12 June 2026, 14:03 UTC", "Firefox on Linux", "203.0.113.0/24")
		}
		read := templates.TextOf(t, l.HTML)
		for _, want := range wants {
			if !strings.Contains(l.Text, want) {
				t.Errorf("%s: the text lacks %q", s.Name, want)
			}
			if !strings.Contains(read, want) && !strings.Contains(l.HTML, `href="`+want+`"`) {
				t.Errorf("%s: the page lacks %q", s.Name, want)
			}
		}
		if f.Link != "" && strings.Count(l.HTML, `href="`+f.Link+`"`) != 2 {
			t.Errorf("%s: got no button and link to %s", s.Name, f.Link)
		}
	}
}

// Both parts say the same (RS-07): whoever reads text misses nothing.
func TestBothPartsOfAMailSayTheSame(t *testing.T) {
	tmpl := templates.Acme(t)
	for _, s := range samples.Mails() {
		l := templates.RenderLetter(t, tmpl, s.Mail)
		read := strings.Join(strings.Fields(templates.TextOf(t, l.HTML)), "")
		for word := range strings.FieldsSeq(l.Text) {
			if strings.Trim(word, "=-") == "" || strings.HasSuffix(word, ":") {
				continue
			}
			if !strings.Contains(read, word) && !strings.Contains(l.HTML, `href="`+word+`"`) {
				t.Errorf("%s: %q is in the text alone", s.Name, word)
			}
		}
	}
}

// A mail that asks another server for something tells it who reads it, and when.
func TestMailsAskNoServerForAnything(t *testing.T) {
	tmpl := templates.Acme(t)
	for _, s := range samples.Mails() {
		page := templates.RenderLetter(t, tmpl, s.Mail).HTML
		for _, bad := range []string{"<img", "<link", "@import", "url(", "background=", "<script", "<form"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: got %s", s.Name, bad)
			}
		}
	}
}

// What waits in the outbox is JSON, and comes back as it was.
func TestMailsSurviveWaiting(t *testing.T) {
	for _, s := range samples.Mails() {
		data, err := json.Marshal(s.Mail)
		if err != nil {
			t.Fatal(err)
		}
		got, err := templates.DecodeMail(templates.MailKind(s.Mail), data)
		if err != nil {
			t.Fatal(err)
		}
		// JSON has no bytes that are not text, and neither has a mail.
		if diff := cmp.Diff(templates.RenderLetter(t, templates.Acme(t), s.Mail), templates.RenderLetter(t, templates.Acme(t), got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.Name, diff)
		}
	}
	if _, err := templates.DecodeMail("nosuch", []byte("{}")); err == nil {
		t.Error("an unknown kind: got no error")
	}
	if _, err := templates.DecodeMail("newdevice", []byte("[")); err == nil {
		t.Error("bad JSON: got no error")
	}
}

// RFC 5322 section 2.1.1 wants lines of at most 78; links alone may be longer.
func TestTextOfMailsIsNarrow(t *testing.T) {
	tmpl := templates.Acme(t)
	for _, s := range samples.Mails() {
		for line := range strings.SplitSeq(templates.RenderLetter(t, tmpl, s.Mail).Text, "\n") {
			if utf8.RuneCountInString(line) > 78 && strings.Contains(line, " ") {
				t.Errorf("%s: a line of %d characters: %q", s.Name, utf8.RuneCountInString(line), line)
			}
		}
	}
}

// A mail without a sample would be sent unseen.
func TestEveryMailHasASample(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples.Mails() {
		seen[templates.MailKind(s.Mail)] = true
	}
	for _, m := range templates.AllMails() {
		if !seen[templates.MailKind(m)] {
			t.Errorf("%T has no sample", m)
		}
	}
}
