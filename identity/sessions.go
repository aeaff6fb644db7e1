package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
func (i *Sessions) List(ctx context.Context, a Actor) ([]storage.Session, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return i.store.Sessions(ctx, u.ID)
}

// ListBefore are up to limit of them, the newest first, that are older than the
// one with that id; uuid.Max begins.
func (i *Sessions) ListBefore(ctx context.Context, a Actor, before uuid.UUID, limit int) ([]storage.Session, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return i.store.SessionsBefore(ctx, u.ID, before, limit)
}

// End ends one of the acting person's sessions and every grant that was made
// in it, offline ones too. storage.ErrNotFound if they have none such.
func (i *Sessions) End(ctx context.Context, a Actor, sid uuid.UUID) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	e := WithFact(WithFact(about(a, storage.EventSessionEnded, u.ID), "session", sid), "reason", storage.EndByPerson)
	return i.store.EndSessionOf(ctx, u.ID, sid, e)
}

// EndOthers ends the acting person's sessions but keep (uuid.Nil: every one)
// and every grant that was not made in it.
func (i *Sessions) EndOthers(ctx context.Context, a Actor, keep uuid.UUID) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return i.store.EndOtherSessions(ctx, u.ID, keep, WithFact(about(a, storage.EventSessionOthersEnded, u.ID), "kept",
		keep))
}

// NewDeviceMail is the mail about a sign-in from a device that was not used before;
// nil where the address is not known to be the person's, or there were several just
// now: whoever has the password must not be able to bury the others under it. It
// goes with the sign-in.
func (i *Sessions) NewDeviceMail(ctx context.Context, u *storage.User, from request.Info) (*storage.Message, error) {
	if !u.EmailVerified() {
		return nil, nil
	}
	if allowed, err := i.mailboxAllowed(ctx, mailboxNewDevice, u.EmailKey); err != nil || !allowed {
		return nil, err
	}
	return i.mailTo(u, templates.NewDevice{Name: u.Profile.Name, AccountLink: i.issuer + "/account",
		From: i.timed(from)}, "")
}

const (
	// secondStepOwed is the kind of the message that asks whether a second step was passed.
	secondStepOwed = "second step owed"
	// secondStepTime is how long a person may take to find their phone before they are mailed.
	secondStepTime = 10 * time.Minute
)

// owedStep is the payload of such a message.
type owedStep struct {
	Session uuid.UUID `json:"session"`
}

// NewSecondFactorCheck goes with a sign-in that has yet to pass its second step, on a device
// on which none was passed before. If it is not passed within 10 minutes, the person is
// told that somebody has their password.
func (i *Sessions) NewSecondFactorCheck() (*storage.Message, error) {
	payload, err := json.Marshal(owedStep{}) // the store puts the sid in the place of the nil UUID
	return &storage.Message{Kind: secondStepOwed, Payload: payload, AvailableAt: i.clock().Add(secondStepTime)}, err
}

// processSecondStep mails a person whose password was entered in a session that still
// lacks the second step, or ended without it: once a day (UTC), so that whoever has the
// password cannot bury other mails.
func (i *Sessions) processSecondStep(ctx context.Context, m *storage.Message) error {
	var owed owedStep
	if err := json.Unmarshal(m.Payload, &owed); err != nil {
		return outbox.Permanent(err)
	}
	s, err := i.store.SessionByID(ctx, owed.Session)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	u, err := i.store.User(ctx, s.UserID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if !u.Active() || !u.EmailVerified() || !assurance.NeedsSecondFactor(u.Factors, s.ACR) {
		return nil
	}
	from := request.Info{At: s.AuthTime, Device: s.Browser, Network: cmp.Or(s.Network4, s.Network6)}
	letter, err := i.mailTo(u, templates.SecondStepMissed{Name: u.Profile.Name,
		PasswordLink: i.issuer + "/account/password", From: from},
		"second-step-missed "+u.ID.String()+" "+m.CreatedAt.UTC().Format(time.DateOnly))
	if err != nil {
		return outbox.Permanent(err)
	}
	defer i.wake()
	return i.store.EnqueueOnce(ctx, letter, origin(WithFact(&storage.Event{Type: storage.EventSessionSecondStepMissed,
		User: u.ID}, "session", s.ID), from))
}
