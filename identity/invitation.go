package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// InvitationLife is how long an invitation can be accepted.
const InvitationLife = 7 * 24 * time.Hour

// maxInvitations bounds the open ones of an organization, and those that it makes and
// takes back within a day: each is a mail to whomever somebody names.
const maxInvitations = 100

// ErrTooManyInvitations: the organization has as many open ones as it may, or has
// made as many within a day.
var ErrTooManyInvitations = errors.New("too many open invitations")

// InvitationView is what the holder of an invitation's token is told. Whether the address
// has an account is not part of it.
type InvitationView struct {
	Invitation   storage.Invitation
	Organization storage.Organization
}

// Create mails an address the offer of a role. Owners invite to any role, admins to
// any but owner, and those who administer the installation to any. An invitation
// that the address has already to this organization is replaced. Errors: FieldErrors,
// ErrForbidden, storage.ErrNotFound, storage.ErrExists if they are a member,
// ErrTooManyInvitations, ErrTooManyMails.
func (i *Invitations) Create(ctx context.Context, a Actor, organizationID uuid.UUID, email,
	role string) (*storage.Invitation, error) {
	inviter, err := i.inviter(ctx, a)
	if err != nil {
		return nil, err
	}
	key, err := i.mayInvite(ctx, &a, organizationID, email, role)
	if err != nil {
		return nil, err
	}
	o, err := i.store.Organization(ctx, organizationID)
	if err != nil {
		return nil, err
	}
	now, token := i.clock(), secret.NewToken("")
	n := &storage.Invitation{ID: uuid.Must(uuid.NewV7()), OrganizationID: o.ID, Email: strings.TrimSpace(email),
		EmailKey: key, Role: role,
		Token: secret.HashOf(token), InvitedBy: a.UserID, Inviter: inviter, CreatedAt: now,
		ExpiresAt: now.Add(InvitationLife)}
	if a.kind != operatorActor { // what the command line sends, the operator wants sent
		if err := i.takeMailbox(ctx, "invitation", key); err != nil {
			return nil, err
		}
	}
	m, err := i.mailTo(&storage.User{Email: n.Email}, templates.Invitation{Organization: o.Name, Inviter: n.Inviter,
		Role: roleWords(role),
		Link: i.issuer + "/invite?token=" + token, ValidFor: InvitationLife}, "")
	if err != nil {
		return nil, err
	}
	// The address is not among the event's personal details: nothing would ever erase it there.
	err = i.store.CreateInvitation(ctx, n, maxInvitations, WithFact(invitation(a, storage.EventInvitationCreated, o.ID,
		n.ID), "role", role), m)
	if errors.Is(err, storage.ErrConflict) {
		return nil, ErrTooManyInvitations
	}
	if err != nil {
		return nil, err
	}
	i.wake()
	return n, nil
}

// mayInvite checks who invites whom as what, and returns the folded address. Only
// owners make owners. A personal access token invites nobody, so that a thief of one
// cannot stay.
func (i *Invitations) mayInvite(ctx context.Context, a *Actor, organizationID uuid.UUID, email, role string) (string,
	error) {
	action := ManageMembers
	if role == storage.RoleOwner {
		action = ManageOwners
	}
	if err := i.Authorize(ctx, a, action, organizationID); err != nil {
		return "", err
	}
	var faults FieldErrors
	faults.AddAll(CheckRole(role))
	key, err := EmailKey(email)
	faults.AddAll(err)
	return key, faults.err()
}

// inviter is what the one who invites is called in the mail; "" for the operator. The address must be proven: else
// strangers could make accounts to send mails with, and a stranger who made an account with the address of another
// would have a friend in the organizations of that one.
func (i *Invitations) inviter(ctx context.Context, a Actor) (string, error) {
	if a.kind == operatorActor {
		return "", nil
	}
	u, err := i.actingUser(ctx, a)
	if err == nil && !u.EmailVerified() {
		err = fmt.Errorf("%w: the address is not proven", ErrForbidden)
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(u.Profile.Name, u.Email), nil
}

// roleWords is a role as a sentence has it.
func roleWords(role string) string {
	if role == storage.RoleOwner || role == storage.RoleAdmin {
		return "an " + role
	}
	return "a " + role
}

func invitation(a Actor, kind storage.EventType, organizationID, invitationID uuid.UUID) *storage.Event {
	e := WithFact(a.Event(kind), "invitation", invitationID.String())
	e.Organization = organizationID
	return e
}

// List lists up to limit invitations of an organization that can still be
// accepted, older ones first, those after the one with that id.
func (i *Invitations) List(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]storage.Invitation, error) {
	if err := i.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	return i.store.Invitations(ctx, organizationID, after, limit)
}

// Revoke makes an invitation worthless. storage.ErrNotFound if the
// organization has none such that is open.
func (i *Invitations) Revoke(ctx context.Context, a Actor, organizationID, invitationID uuid.UUID) error {
	if err := i.Authorize(ctx, &a, ManageMembers, organizationID); err != nil {
		return err
	}
	return i.store.RevokeInvitation(ctx, organizationID, invitationID, invitation(a, storage.EventInvitationRevoked,
		organizationID, invitationID))
}

// Confirm makes an invitation whose inviter may not make it any more one of
// the acting person, who must be an owner. storage.ErrNotFound if the organization has
// none that waits for it.
func (i *Invitations) Confirm(ctx context.Context, a Actor, organizationID, invitationID uuid.UUID) error {
	if _, err := i.inviter(ctx, a); err != nil {
		return err
	}
	if err := i.Authorize(ctx, &a, ManageOwners, organizationID); err != nil {
		return err
	}
	return i.store.ConfirmInvitation(ctx, organizationID, invitationID, invitation(a, storage.EventInvitationConfirmed,
		organizationID, invitationID))
}

// Open tells what a token of /invite stands for, without using it.
// ErrLink if it stands for nothing (any more), storage.ErrSuspended if an owner must
// confirm it before it does.
func (i *Invitations) Open(ctx context.Context, token string) (*InvitationView, error) {
	n, o, err := i.store.Invitation(ctx, secret.HashOf(token))
	if err != nil {
		return nil, linkError(err)
	}
	if n.Suspended {
		return nil, storage.ErrSuspended
	}
	return &InvitationView{Invitation: *n, Organization: *o}, nil
}

// Accept uses an invitation for the acting person, whose address must be
// the one that was invited: ErrForbidden else. ErrLink as for Open.
//
// A first proof of the address leaves the account to whoever acts: they are signed in
// to it, in the session keep, and hold what was mailed to the address, as in Verify.
// All other access to it ends. One whose account somebody else made with their address cannot sign in to it; they
// register by the invitation, which takes that account over.
func (i *Invitations) Accept(ctx context.Context, a Actor, token string, keep uuid.UUID) (*storage.Organization,
	error) {
	u, err := i.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	n, err := i.Open(ctx, token)
	if err != nil {
		return nil, err
	}
	err = i.store.AcceptInvitation(ctx, &storage.Acceptance{Token: n.Invitation.Token, EmailKey: u.EmailKey, Keep: keep,
		Event: a.Event(storage.EventInvitationAccepted), Verified: WithFact(WithFact(about(a,
			storage.EventUserEmailProven, u.ID), "by", "invitation"), "claimed", false)}, u.ID)
	if err != nil {
		return nil, acceptError(err)
	}
	return &n.Organization, nil
}

func acceptError(err error) error {
	if errors.Is(err, storage.ErrConflict) {
		return fmt.Errorf("%w: it was sent to another address", ErrForbidden)
	}
	return linkError(err)
}

// register creates a person with the place that an invitation offers, in
// one transaction. p's address must be the invited one (Open); it counts
// as proven, since the token was mailed to it. An account of that address that was
// never proven is claimed: its password, sessions and grants go, p's password and
// profile count, and p.User becomes that account. Errors: ErrLink, ErrForbidden for
// another address, ErrRegistered if the address has a proven account; then the
// invitation stays.
func (i *Invitations) register(ctx context.Context, token string, p *storage.NewUser, requestID string,
	mails ...*storage.Message) (*storage.Organization, error) {
	n, err := i.Open(ctx, token)
	if err != nil {
		return nil, err
	}
	p.User.EmailVerifiedAt = i.clock()
	a := &storage.Acceptance{Token: n.Invitation.Token, EmailKey: p.User.EmailKey,
		Event: &storage.Event{Type: storage.EventInvitationAccepted, RequestID: requestID}}
	err = i.store.RegisterInvited(ctx, a, p, &storage.Event{Type: storage.EventUserClaimed, RequestID: requestID},
		mails...)
	switch {
	case errors.Is(err, storage.ErrExists):
		return nil, fmt.Errorf("%w: %w", ErrRegistered, err)
	case err != nil:
		return nil, acceptError(err)
	}
	return &n.Organization, nil
}
