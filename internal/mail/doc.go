// Package mail writes, renders and sends mails. internal/outbox holds them between writing and sending.
//
//	a change's transaction ── Writer.Message ──▶ outbox row (sealed)
//	outbox.Worker ──▶ Deliverer.Deliver ── opens, renders with templates ──▶ Sender
//	Sender: SMTP, Mailgun, SendGrid, Outbox (development: shows them), Discard (no provider is configured)
//
// A Sender classifies its errors as internal/outbox says: a mailbox that does not exist is permanent, a full one
// concerns this message alone, a server that hangs up after the whole message may have sent it, and anything else is an
// outage. The Message-ID is the same at each try, so that mailboxes can tell copies.
//
// Links and addresses wait sealed. Neither is ever in a log, an error or the facts of an event.
package mail
