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

// List are the acting person's live sessions, those of API tokens too, the
// latest used first.
func (ss *Sessions) List(ctx context.Context, a Actor) ([]storage.Session, error) {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return ss.store.Sessions(ctx, u.ID)
}

// ListBefore are up to limit of them, the newest first, that are older than the
// one with that id; uuid.Max begins.
func (ss *Sessions) ListBefore(ctx context.Context, a Actor, before uuid.UUID, limit int) ([]storage.Session, error) {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return ss.store.SessionsBefore(ctx, u.ID, before, limit)
}

// End ends one of the acting person's sessions and every grant that was made
// in it, offline ones too. storage.ErrNotFound if they have none such.
func (ss *Sessions) End(ctx context.Context, a Actor, sid uuid.UUID) error {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return err
	}
	e := WithFact(WithFact(userEvent(a, storage.EventSessionEnded, u.ID), "session", sid), "reason", storage.EndByPerson)
	return ss.store.EndSessionOf(ctx, u.ID, sid, e)
}

// EndOthers ends the acting person's sessions but keep (uuid.Nil: every one)
// and every grant that was not made in it.
func (ss *Sessions) EndOthers(ctx context.Context, a Actor, keep uuid.UUID) error {
	u, err := ss.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return ss.store.EndOtherSessions(ctx, u.ID, keep, WithFact(userEvent(a, storage.EventSessionOthersEnded, u.ID), "kept",
		keep))
}

// NewDeviceMail is the mail about a sign-in from a device that was not used before;
// nil where the address is not known to be the person's, or there were several just
// now: whoever has the password must not be able to bury the others under it. It
// goes with the sign-in.
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
	// secondFactorCheck is the kind of the message that asks whether a second step was passed.
	secondFactorCheck = "second step owed"
	// secondFactorWait is how long a person may take to find their phone before they are mailed.
	secondFactorWait = 10 * time.Minute
)

// secondFactorCheckPayload is the payload of such a message.
type secondFactorCheckPayload struct {
	Session uuid.UUID `json:"session"`
}

// NewSecondFactorCheck goes with a sign-in that has yet to pass its second step, on a device
// on which none was passed before. If it is not passed within 10 minutes, the person is
// told that somebody has their password.
func (ss *Sessions) NewSecondFactorCheck() (*storage.Message, error) {
	payload, err := json.Marshal(secondFactorCheckPayload{}) // the store puts the sid in the place of the nil UUID
	return &storage.Message{Kind: secondFactorCheck, Payload: payload, AvailableAt: ss.currentTime().Add(secondFactorWait)}, err
}

// processSecondFactorCheck mails a person whose password was entered in a session that still
// lacks the second step, or ended without it: once a day (UTC), so that whoever has the
// password cannot bury other mails.
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
