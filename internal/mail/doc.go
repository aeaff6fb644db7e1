// Package mail delivers what the outbox table holds.
//
//	a change's transaction ── Writer.Message ──▶ outbox row (sealed)
//	Worker ── leases due rows of any kind ──▶ Handler
//	Postman, the handler of kind "mail" ── opens, renders ──▶ Sender
//	Sender: SMTP, Mailgun, SendGrid, Outbox (shows), Nowhere (drops)
//
// A row is delivered at least once: what a dead worker held comes back when its
// lease ends, and two nodes never hold the same row. It is delivered twice only
// if a node dies, or the database goes away, between sending and saying so, or if
// the provider takes it and does not answer; the Message-ID stays the same, so that
// mailboxes can tell.
//
// An outage loses nothing: rows wait, each try later than the last, for three
// days. What can never arrive is given up at once, with an event.
//
// Links and addresses wait sealed. Neither is ever in a log, an error or the
// facts of an event.
package mail
