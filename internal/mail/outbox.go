package mail

import (
	"context"
)

// Outbox is the Sender of development: it sends nothing, and what it was given
// stays in the outbox table for a page to show.
type Outbox struct{}

// Send takes m.
func (Outbox) Send(context.Context, *Message) error { return nil }

// Discard is the Sender of an installation without a mail provider: it drops notices.
type Discard struct{}

// Send drops m.
func (Discard) Send(context.Context, *Message) error { return nil }
