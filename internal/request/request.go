// Package request has the one type that tells where something was done from.
//
// Handlers take it from the request (signin.Service.Origin), identity writes it into audit events and mails, and
// templates show it. It imports nothing, so that all of them can.
package request

import "time"

// Info is when, on what device and from which network something was done. It never has the exact address.
type Info struct {
	At      time.Time // zero: now
	Device  string    // in words, "Firefox on Linux"; may be empty
	Network string    // "203.0.113.0/24"; may be empty
}
