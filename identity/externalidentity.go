package identity

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
)

// External is whom a connection vouches for, as package internal/upstream has checked it.
type External struct {
	Connection *storage.Connection
	// Subject is the connection's identifier of the person.
	Subject string
	// Email is what the provider says; EmailVerified: the provider has seen that it is the person's.
	Email                       string
	EmailVerified               bool
	Name, GivenName, FamilyName string
	// SID is the provider's session; "" if it tells none.
	SID       string
	From      request.Info
	RequestID string
}

var (
	// ErrLinkNeeded: an account has the address, and its user must sign in to it and say that it is the same person.
	ErrLinkNeeded = errors.New("an account has this address, and its user must link the identity")
	// ErrExternalEmail: the provider does not say that the address is the person's, so that no account is made of it.
	ErrExternalEmail = errors.New("the provider does not vouch for an address")
	// ErrExternalTaken: another user has the identity.
	ErrExternalTaken = errors.New("the identity is linked to another account")
)

// User returns the user that an identity signs in. An identity that is new gets an account, where registration allows
// that, or the account of its address if nobody has verified that address before: whatever was made with it goes.
// Errors: ErrLinkNeeded, ErrExternalEmail, ErrRegistrationClosed, and ErrForbidden for a user who is disabled.
//
// An address alone never leads to an account that is in use: who administers a provider can give an account there any
// address.
func (i *Connections) User(ctx context.Context, x External) (*storage.User, error) {
	// Twice: an account may be made, or lapse, between looking and doing.
	for try := 1; ; try++ {
		u, err := i.find(ctx, x)
		if try == 2 || !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrConflict) {
			return u, err
		}
	}
}

func (i *Connections) find(ctx context.Context, x External) (*storage.User, error) {
	u, err := i.store.ExternalUser(ctx, x.Connection.ID, x.Subject)
	switch {
	case err == nil && !u.Active():
		return nil, ErrForbidden
	case !errors.Is(err, storage.ErrNotFound):
		return u, err
	}
	key, err := EmailKey(x.Email)
	if err != nil || !x.EmailVerified { // the same whether or not the address has an account
		return nil, ErrExternalEmail
	}
	u, err = i.store.UserByEmail(ctx, key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return i.register(ctx, x, key)
	case err != nil:
		return nil, err
	case u.EmailVerified():
		return nil, ErrLinkNeeded
	case !u.Active():
		return nil, ErrForbidden
	}
	return i.takeOver(ctx, x, u)
}

// register makes the account of an identity.
func (i *Connections) register(ctx context.Context, x External, key string) (*storage.User, error) {
	switch i.registrations.registration {
	case RegistrationClosed:
		return nil, ErrRegistrationClosed
	case RegistrationInvite:
		if invited, err := i.store.IsInvited(ctx, key); err != nil {
			return nil, err
		} else if !invited {
			return nil, ErrRegistrationClosed
		}
	}
	p := i.registrations.newUnverifiedUser(linkPayload{EmailKey: key, Email: x.Email}, x.From, x.RequestID)
	p.User.Profile, p.User.EmailVerifiedAt = x.profile(), p.User.CreatedAt
	actor := Actor{UserID: p.User.ID, RequestID: x.RequestID}
	p.Events = append(p.Events, i.linkedEvent(actor, storage.EventUserIdentityLinked, x))
	err := i.store.Register(ctx, &storage.Registration{Person: *p, External: i.row(x, p.User.ID)})
	return &p.User, err
}

// takeOver gives an account whose address nobody has verified to the person whom the provider vouches for.
func (i *Connections) takeOver(ctx context.Context, x External, u *storage.User) (*storage.User, error) {
	profile := x.profile()
	e := withOrigin(i.linkedEvent(Actor{UserID: u.ID, RequestID: x.RequestID}, storage.EventUserEmailProven, x), x.From)
	err := i.store.VerifyEmail(ctx, &storage.EmailVerification{UserID: u.ID, EmailKey: u.EmailKey, Claim: true, Profile: &profile,
		External: i.row(x, u.ID), Event: WithFact(WithFact(e, "by", "connection"), "claimed", true)})
	if err != nil {
		return nil, err
	}
	return i.store.User(ctx, u.ID)
}

func (x *External) profile() storage.Profile {
	return storage.Profile{Name: visibleName(x.Name), GivenName: visibleName(x.GivenName), FamilyName: visibleName(x.FamilyName)}
}

func (i *Connections) row(x External, userID uuid.UUID) *storage.ExternalIdentity {
	return &storage.ExternalIdentity{ConnectionID: x.Connection.ID, Subject: x.Subject, UserID: userID,
		Email: x.Email, CreatedAt: i.currentTime()}
}

// linkedEvent is an event about the acting user's identity. The subject names a person, and goes with the account.
func (i *Connections) linkedEvent(a Actor, kind storage.EventType, x External) *storage.Event {
	e := WithFact(userEvent(a, kind, a.UserID), "connection", x.Connection.ID)
	e.Personal = map[string]string{"subject": x.Subject}
	return e
}

// Link gives an identity to the acting user, who has just signed in to that session and confirmed it. Errors:
// ErrExternalTaken, storage.ErrEmailUnverified, storage.ErrSpent if the session has ended, storage.ErrConflict if the
// connection is disabled. An identity that is the user's already stays.
func (i *Connections) Link(ctx context.Context, a Actor, session uuid.UUID, x External) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	holder, err := i.store.ExternalUser(ctx, x.Connection.ID, x.Subject)
	switch {
	case err == nil && holder.ID == u.ID:
		return nil
	case err == nil:
		return ErrExternalTaken
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	err = i.store.LinkIdentity(ctx, i.row(x, u.ID), session, i.linkedEvent(a, storage.EventUserIdentityLinked, x))
	if errors.Is(err, storage.ErrExists) {
		return ErrExternalTaken
	}
	return err
}

// Linked are the identities of the acting user, the oldest first.
func (i *Connections) Linked(ctx context.Context, a Actor) ([]storage.ExternalIdentity, error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return i.store.ExternalIdentities(ctx, u.ID)
}

// Unlink takes an identity from the acting user. Errors: storage.ErrConflict if they could not sign in any more,
// storage.ErrNotFound, storage.ErrSpent if the session has ended.
func (i *Connections) Unlink(ctx context.Context, a Actor, session uuid.UUID, c *storage.Connection, subject string) error {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return err
	}
	x := External{Connection: c, Subject: subject}
	return i.store.UnlinkIdentity(ctx, i.row(x, u.ID), session, i.linkedEvent(a, storage.EventUserIdentityUnlinked, x))
}
