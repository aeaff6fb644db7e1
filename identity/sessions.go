package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// List returns the acting user's active sessions, those of API tokens too, the last used first.
func (ss *Sessions) List(ctx context.Context, a Actor) ([]storage.Session, error) {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return ss.store.Sessions(ctx, u.ID)
}

// ListBefore returns up to limit sessions, the newest first, that are older than the session before; uuid.Max starts
// with the newest.
func (ss *Sessions) ListBefore(ctx context.Context, a Actor, before uuid.UUID, limit int) ([]storage.Session, error) {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return ss.store.SessionsBefore(ctx, u.ID, before, limit)
}

// End ends one of the acting user's sessions and all grants that were made in it, offline ones too.
// storage.ErrNotFound if there is none.
func (ss *Sessions) End(ctx context.Context, a Actor, sid uuid.UUID) error {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return err
	}
	e := WithFact(WithFact(userEvent(a, storage.EventSessionEnded, u.ID), "session", sid), "reason", storage.EndByPerson)
	return ss.store.EndSessionOf(ctx, u.ID, sid, e)
}

// EndOthers ends the acting user's sessions except keep (uuid.Nil: all) and all grants that were not made in it.
func (ss *Sessions) EndOthers(ctx context.Context, a Actor, keep uuid.UUID) error {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return ss.store.EndOtherSessions(ctx, u.ID, keep, WithFact(userEvent(a, storage.EventSessionOthersEnded, u.ID), "kept",
		keep))
}

// NewDeviceMail is the mail about a sign-in on a new device. It is nil if the address is not verified, or if there
// were several such mails just now: an attacker with the password must not bury other mails under them. It is sent
// with the sign-in.
func (ss *Sessions) NewDeviceMail(ctx context.Context, u *storage.User, from request.Info) (*storage.Message, error) {
	if !u.EmailVerified() {
		return nil, nil
	}
	if allowed, err := ss.mailboxAllowed(ctx, mailboxNewDevice, u.EmailKey); err != nil || !allowed {
		return nil, err
	}
	return ss.mailTo(u, templates.NewDevice{Name: u.Profile.Name, AccountLink: ss.issuer + "/account",
		From: ss.withTime(from)}, "")
}

const (
	// secondFactorCheck is the kind of the message that checks whether a second factor was verified.
	secondFactorCheck = "second step owed"
	// secondFactorWait is how long a user may take before the mail is sent.
	secondFactorWait = 10 * time.Minute
)

// secondFactorCheckPayload is the payload of such a message.
type secondFactorCheckPayload struct {
	Session uuid.UUID `json:"session"`
}

// NewSecondFactorCheck is the message for a sign-in that still needs its second factor, on a device on which none was
// verified before. If it is not verified within 10 minutes, the user is told by mail that another person may know the
// password.
func (ss *Sessions) NewSecondFactorCheck() (*storage.Message, error) {
	payload, err := json.Marshal(secondFactorCheckPayload{}) // the store replaces the nil UUID by the session's id
	return &storage.Message{Kind: secondFactorCheck, Payload: payload, AvailableAt: ss.currentTime().Add(secondFactorWait)}, err
}

// processSecondFactorCheck mails a user whose password was entered in a session that still lacks the second factor, or
// ended without it: once a day (UTC), so that an attacker with the password cannot bury other mails.
func (ss *Sessions) processSecondFactorCheck(ctx context.Context, m *storage.Message) error {
	var owed secondFactorCheckPayload
	if err := json.Unmarshal(m.Payload, &owed); err != nil {
		return outbox.Permanent(err)
	}
	s, err := ss.store.SessionByID(ctx, owed.Session)
	if err != nil {
		return ignoreNotFound(err)
	}
	u, err := ss.store.User(ctx, s.UserID)
	if err != nil {
		return ignoreNotFound(err)
	}
	if !u.Active() || !u.EmailVerified() || !assurance.NeedsSecondFactor(u.Factors, s.ACR) {
		return nil
	}
	from := request.Info{At: s.AuthTime, Device: s.Browser, Network: cmp.Or(s.Network4, s.Network6)}
	letter, err := ss.mailTo(u, templates.SecondStepMissed{Name: u.Profile.Name,
		PasswordLink: ss.issuer + "/account/password", From: from},
		"second-step-missed "+u.ID.String()+" "+m.CreatedAt.UTC().Format(time.DateOnly))
	if err != nil {
		return outbox.Permanent(err)
	}
	defer ss.wake()
	return ss.store.Outbox.AddOnce(ctx, letter, withOrigin(WithFact(&storage.Event{Type: storage.EventSessionSecondStepMissed,
		User: u.ID}, "session", s.ID), from))
}
