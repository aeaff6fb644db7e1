// Package outbox is the durable queue of what the server does after it has answered: mails to send, requests of
// strangers to decide, notices to write.
//
//	a change's transaction ── Seal, storage.Enqueue ──▶ row of the outbox table
//	Worker.Poll ── leases due rows of each kind ──▶ Handler.Deliver
//	nil              ──▶ done: the row goes, or stays without its payload
//	Failure.Permanent ──▶ given up, with an audit event
//	any other error  ──▶ waits, each time longer, for three days and at least ten tries
//
// A row is delivered at least once. What a node held when it died comes back when its lease ends, and two nodes never
// hold the same row. It is delivered twice only if a node dies, or the database goes away, between delivering and
// writing that down, or if the receiver takes it and does not answer ([Failure].MaybeSent): then at most three times.
//
// An error that is no [Failure] says that the receiver as a whole does not work (an outage). It shows in [Worker.Status],
// which health checks and metrics read.
//
// The engine knows no kind of message. internal/mail and identity have handlers, and internal/app registers them.
package outbox
