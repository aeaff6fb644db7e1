// Package limit bounds guessing, of passwords, codes and client secrets, and what
// anybody may ask for without having signed in.
//
//	budget      failures            counted for
//	account     10 in 10 minutes    the folded address, whether anybody has it or not;
//	            10 in an hour       after 100 without a success between, not counting
//	                                those that were alone in their ten minutes
//	codes       20 in a minute      the same, for the codes of second factors;
//	            10 in an hour       after 100 without a success between
//	challenge   5                   one half session: what a password alone has earned
//	device      as account, codes   one browser that got through that before
//	address     20 in a minute,     an IPv4 address or an IPv6 /64, for devices that
//	            100 in an hour      are not known (the hour: passwords only)
//	client      600 in a minute     a client_id
//
//	budget      requests
//	address     10 registrations a minute, 5 recoveries a minute; a device that is
//	            known to the account it asks for has as many of its own
//	mailbox     5 mails of one kind an hour
//	address     300 new flows a minute, 2,000 unfinished ones; 300 pushed requests a
//	            minute of public clients
//	client      6,000 pushed requests a minute
//	keys        60 answers of passkeys and security keys a minute and half session
//
// FlowBudget and pushed requests are counted by the statement that writes the row.
// Only failures count where there is something to guess, so an office behind one
// address signs in all day. A window begins with its first failure. Strangers can use
// up neither a known device's budget nor, by passkeys that do not fit, anybody's.
//
// # One attempt
//
//	Begin ──▶ Reserve ──▶ compare ──▶ Failed      the reservation becomes a failure
//	  │          │                ├─▶ Succeeded   it is given back; the account's failures are forgotten
//	  ▼          ▼                └─▶ End alone   it is given back: an error of ours is no wrong guess
//	*Blocked  *Blocked
//
// Begin asks nobody: it refuses what this process knows to be used up. Reserve adds
// one to "running" of every counter that the attempt is counted in, in one statement,
// and looks at what they hold then. Where failures alone reach a limit, the attempt is
// refused; where failures and running attempts do, it waits until one of them has
// ended, 5 s at most. So as many attempts as failures are left are compared at once,
// on all nodes together. An attempt whose node dies between the two stays counted
// until its window ends.
//
// # Where counters are kept
//
// In Redis if it is given and answers, else in the table counters, shared by all
// nodes; in both under keyed hashes. An attempt ends where it was reserved; if Redis
// is lost meanwhile, its failure counts in the database. A used-up budget is kept in
// memory for 5 s. Run writes failures to the audit log, one event a person or client
// and minute. docs/decisions/0016-reserved-attempts.md says why it is built this way.
package limit
