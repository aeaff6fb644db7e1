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

// maxInvitations bounds the open invitations of an organization, and those it creates and revokes within a day,
// because each is a mail to any address that a member names.
const maxInvitations = 100

// ErrTooManyInvitations means that the organization has too many open invitations, or has created too many within a
// day.
var ErrTooManyInvitations = errors.New("too many open invitations")

// InvitationView is what the holder of an invitation's token may see. It does not say whether the address has an
// account.
type InvitationView struct {
	Invitation   storage.Invitation
	Organization storage.Organization
}

// Create mails an address the offer of a role. Owners invite to any role, admins to any but owner, superadmins and the
// operator to any. An open invitation of the address to this organization is replaced. Errors: FieldErrors,
// ErrForbidden, storage.ErrNotFound, storage.ErrExists for a member, ErrTooManyInvitations, ErrTooManyMails.
func (inv *Invitations) Create(ctx context.Context, a Actor, organizationID uuid.UUID, email,
	role string) (*storage.Invitation, error) {
	inviter, err := inv.inviter(ctx, a)
	if err != nil {
		return nil, err
	}
	key, err := inv.mayInvite(ctx, &a, organizationID, email, role)
	if err != nil {
		return nil, err
	}
	o, err := inv.store.Organization(ctx, organizationID)
	if err != nil {
		return nil, err
	}
	now, token := inv.currentTime(), secret.NewToken("")
	n := &storage.Invitation{ID: uuid.Must(uuid.NewV7()), OrganizationID: o.ID, Email: strings.TrimSpace(email),
		EmailKey: key, Role: role,
		Token: secret.HashOf(token), InvitedBy: a.UserID, Inviter: inviter, CreatedAt: now,
		ExpiresAt: now.Add(InvitationLife)}
	if a.kind != operatorActor { // the limit is for callers that could abuse it
		if err := inv.takeMailbox(ctx, "invitation", key); err != nil {
			return nil, err
		}
	}
	m, err := inv.mailTo(&storage.User{Email: n.Email}, templates.Invitation{Organization: o.Name, Inviter: n.Inviter,
		Role: roleWords(role),
		Link: inv.issuer + "/invite?token=" + token, ValidFor: InvitationLife}, "")
	if err != nil {
		return nil, err
	}
	// The address is not in the event's personal data, because it would never be erased there.
	err = inv.store.CreateInvitation(ctx, n, maxInvitations, WithFact(invitationEvent(a, storage.EventInvitationCreated, o.ID,
		n.ID), "role", role), m)
	inv.wake()
	return n, replaceError(err, map[error]error{storage.ErrConflict: ErrTooManyInvitations})
}

// mayInvite checks that the actor may invite to that role, and returns the folded address. Only owners make owners. A
// personal access token may not invite, so that a thief of it cannot gain lasting access.
func (inv *Invitations) mayInvite(ctx context.Context, a *Actor, organizationID uuid.UUID, email, role string) (string,
	error) {
	action := ManageMembers
	if role == storage.RoleOwner {
		action = ManageOwners
	}
	if err := inv.Authorize(ctx, a, action, organizationID); err != nil {
		return "", err
	}
	var faults FieldErrors
	faults.AddAll(CheckRole(role))
	key, err := EmailKey(email)
	faults.AddAll(err)
	return key, faults.err()
}

// inviter is the name of the inviter in the mail; "" for the operator. The inviter's address must be verified:
// otherwise a stranger could create an account to send mails, or create one with another person's address and be
// invited by that person's organizations.
func (inv *Invitations) inviter(ctx context.Context, a Actor) (string, error) {
	if a.kind == operatorActor {
		return "", nil
	}
	u, err := inv.actingUser(ctx, a)
	if err == nil && !u.EmailVerified() {
		err = fmt.Errorf("%w: the address is not proven", ErrForbidden)
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(u.Profile.Name, u.Email), nil
}

// roleWords is a role in a sentence.
func roleWords(role string) string {
	if role == storage.RoleOwner || role == storage.RoleAdmin {
		return "an " + role
	}
	return "a " + role
}

func invitationEvent(a Actor, kind storage.EventType, organizationID, invitationID uuid.UUID) *storage.Event {
	e := WithFact(a.Event(kind), "invitation", invitationID.String())
	e.Organization = organizationID
	return e
}

// List returns up to limit open invitations of an organization, the oldest first, after the id after.
func (inv *Invitations) List(ctx context.Context, a Actor, organizationID, after uuid.UUID,
	limit int) ([]storage.Invitation, error) {
	if err := inv.Authorize(ctx, &a, ReadOrganization, organizationID); err != nil {
		return nil, err
	}
	return inv.store.Invitations(ctx, organizationID, after, limit)
}

// Revoke makes an open invitation invalid. storage.ErrNotFound if there is none with that id.
func (inv *Invitations) Revoke(ctx context.Context, a Actor, organizationID, invitationID uuid.UUID) error {
	if err := inv.Authorize(ctx, &a, ManageMembers, organizationID); err != nil {
		return err
	}
	return inv.store.RevokeInvitation(ctx, organizationID, invitationID, invitationEvent(a, storage.EventInvitationRevoked,
		organizationID, invitationID))
}

// Confirm makes the acting owner the inviter of a suspended invitation, whose inviter may no longer invite.
// storage.ErrNotFound if there is none with that id.
func (inv *Invitations) Confirm(ctx context.Context, a Actor, organizationID, invitationID uuid.UUID) error {
	if _, err := inv.inviter(ctx, a); err != nil {
		return err
	}
	if err := inv.Authorize(ctx, &a, ManageOwners, organizationID); err != nil {
		return err
	}
	return inv.store.ConfirmInvitation(ctx, organizationID, invitationID, invitationEvent(a, storage.EventInvitationConfirmed,
		organizationID, invitationID))
}

// Open returns the invitation of a token of /invite without using it. ErrLink if it is not valid (any more),
// storage.ErrSuspended if an owner must confirm it first.
func (inv *Invitations) Open(ctx context.Context, token string) (*InvitationView, error) {
	n, o, err := inv.store.Invitation(ctx, secret.HashOf(token))
	if err != nil {
		return nil, linkError(err)
	}
	if n.Suspended {
		return nil, storage.ErrSuspended
	}
	return &InvitationView{Invitation: *n, Organization: *o}, nil
}

// Accept uses an invitation for the acting user, whose address must be the invited one: otherwise ErrForbidden.
// ErrLink as for Open.
//
// If the address was not verified yet, this verifies it: the acting user is signed in to the account, in the session
// keep, and has the token that was mailed to the address, as in Verify. All other access to the account ends. A user
// whose account was created by another person with their address cannot sign in to it; they register by the
// invitation, which takes the account over.
func (inv *Invitations) Accept(ctx context.Context, a Actor, token string, keep uuid.UUID) (*storage.Organization,
	error) {
	u, err := inv.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	n, err := inv.Open(ctx, token)
	if err != nil {
		return nil, err
	}
	err = inv.store.AcceptInvitation(ctx, &storage.Acceptance{Token: n.Invitation.Token, EmailKey: u.EmailKey, Keep: keep,
		Event: a.Event(storage.EventInvitationAccepted), Verified: WithFact(WithFact(userEvent(a,
			storage.EventUserEmailProven, u.ID), "by", "invitation"), "claimed", false)}, u.ID)
	return &n.Organization, acceptError(err)
}

func acceptError(err error) error {
	if errors.Is(err, storage.ErrConflict) {
		return fmt.Errorf("%w: it was sent to another address", ErrForbidden)
	}
	return linkError(err)
}

// register creates a user with the role that an invitation offers, in one transaction. The address of p must be the
// invited one; it counts as verified, because the token was mailed to it. An unverified account of that address is
// taken over: its password, sessions and grants end, the password and profile of p replace its own, and p.User becomes
// that account. Errors: ErrLink, ErrForbidden for another address, ErrRegistered if the address has a verified
// account; then the invitation stays.
func (inv *Invitations) register(ctx context.Context, token string, p *storage.NewUser, requestID string,
	mails ...*storage.Message) (*storage.Organization, error) {
	n, err := inv.Open(ctx, token)
	if err != nil {
		return nil, err
	}
	p.User.EmailVerifiedAt = inv.currentTime()
	a := &storage.Acceptance{Token: n.Invitation.Token, EmailKey: p.User.EmailKey,
		Event: &storage.Event{Type: storage.EventInvitationAccepted, RequestID: requestID}}
	err = inv.store.RegisterInvited(ctx, a, p, &storage.Event{Type: storage.EventUserClaimed, RequestID: requestID},
		mails...)
	switch {
	case errors.Is(err, storage.ErrExists):
		return nil, fmt.Errorf("%w: %w", ErrRegistered, err)
	case err != nil:
		return nil, acceptError(err)
	}
	return &n.Organization, nil
}
