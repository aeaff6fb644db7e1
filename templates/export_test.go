package templates

import (
	"time"

	"github.com/sallyport-id/sallyport/internal/request"
)

// What the tests of samples share with those of this package; they are outside of it, because samples imports it.
var (
	Update       = update
	NewTemplates = newTemplates
	RenderPage   = render
	RenderLetter = letter
	Acme         = acme
	Elements     = elements
	Attr         = attr
	Fill         = fill
	TextOf       = textOf
	LocalPath    = localPath
	SpanWords    = span
)

// Frame is frame for the tests of samples.
type Frame struct {
	Name, Link string
	ValidFor   time.Duration
	From       request.Info
}

// FrameOf is what the layout says around the text of a mail.
func FrameOf(m Mail) Frame {
	_, f := m.mail()
	return Frame{Name: f.name, Link: f.link, ValidFor: f.validFor, From: f.from}
}

// AllMails is one of each kind.
func AllMails() []Mail { return mails() }
