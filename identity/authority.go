package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// Actor is who does something: a person who is signed in, a personal access token or the operator at the command line.
// The zero kind is a person.
type Actor struct {
	UserID uuid.UUID
	// RequestID ties the audit event to the access log.
	RequestID string

	kind actorKind
	// organization, scopes and token are of a personal access token: the one organization it is for, what it may do
	// there, and its id.
	organization uuid.UUID
	scopes       []string
	token        uuid.UUID
	// authority is what the act was allowed for. Events carry it, and the transaction
	// that writes one checks it again.
	authority storage.Authority
}

type actorKind int

const (
	personActor actorKind = iota
	operatorActor
	tokenActor
)

// Operator acts with the authority of somebody who can read the server's keys.
func Operator() Actor { return Actor{kind: operatorActor} }

// Event is an event of this actor's doing.
func (a Actor) Event(kind storage.EventType) *storage.Event {
	e := &storage.Event{Type: kind, Actor: a.UserID, Authority: a.authority, RequestID: a.RequestID}
	if a.kind == operatorActor {
		e.Facts = map[string]any{"by": "operator"}
	}
	return e
}

// WithFact adds a fact to an event.
func WithFact(e *storage.Event, name string, value any) *storage.Event {
	if e.Facts == nil {
		e.Facts = map[string]any{}
	}
	e.Facts[name] = value
	return e
}

// Action is what an actor asks permission for.
type Action int

// The actions. Those on an organization need its id.
const (
	ReadPlatform       Action = iota // look at all people, organizations, clients and settings
	ManagePlatform                   // change them
	SeeOrganization                  // know an organization
	ReadOrganization                 // look at its members, invitations and policy
	ManageOrganization               // change its name and policy
	ManageMembers                    // invite, change and remove members below owner
	ManageOwners                     // the same for owners
)

// permission is who may do an action, besides operators, who may do everything.
type permission struct {
	// platform are the platform roles that may do it everywhere.
	platform []string
	// role is the least role in the organization that may; "" if none does.
	role string
	// scope is what a personal access token of that role needs; "" if no token may, because the act could outlast
	// the token or reach beyond its organization.
	scope string
}

var (
	superadmins = []string{storage.RoleSuperadmin}
	readers     = []string{storage.RoleSuperadmin, storage.RolePlatformAdmin} // platform admins only look

	// permissions is the table of who may do what.
	permissions = map[Action]permission{
		ReadPlatform:       {readers, "", ""},
		ManagePlatform:     {superadmins, "", ""},
		SeeOrganization:    {readers, storage.RoleGuest, ScopeRead},
		ReadOrganization:   {readers, storage.RoleAdmin, ScopeRead},
		ManageOrganization: {superadmins, storage.RoleAdmin, ScopeWrite},
		ManageMembers:      {superadmins, storage.RoleAdmin, ""},
		ManageOwners:       {superadmins, storage.RoleOwner, ""},
	}
)

// access is what every noun shares: the database, the clock and who may do what.
type access struct {
	store *storage.Store
	now   func() time.Time
}

func (x *access) clock() time.Time { return x.now().UTC().Truncate(time.Microsecond) }

// Authorize admits those whom the table of permissions allows the action, and notes in a what they are allowed it for.
// Roles are read anew at every act: taking one away works at once, and the disabled can do nothing. Errors:
// ErrForbidden, and storage.ErrNotFound for those who may not even know the organization.
func (i *access) Authorize(ctx context.Context, a *Actor, action Action, organizationID uuid.UUID) error {
	if a.kind == operatorActor {
		return nil
	}
	p := permissions[action]
	if a.kind == tokenActor {
		switch {
		case p.scope == "":
			return errToken
		case a.organization != organizationID:
			return storage.ErrNotFound
		}
	}
	a.authority = storage.Authority{Superadmin: a.kind == personActor, Organization: organizationID, Role: p.role,
		Token: a.token}
	u, err := i.activeUser(ctx, *a)
	if err != nil || a.kind == personActor && hasRole(u, p.platform...) {
		return err
	}
	if p.role == "" {
		return fmt.Errorf("%w: it needs the platform role %s", ErrForbidden, strings.Join(p.platform, " or "))
	}
	role, err := i.store.Role(ctx, organizationID, a.UserID)
	switch {
	case err != nil:
		return err
	case !storage.AtLeast(role, p.role):
		return fmt.Errorf("%w: it needs the role %s", ErrForbidden, p.role)
	case a.kind == tokenActor && !slices.Contains(a.scopes, p.scope):
		return fmt.Errorf("%w: the token needs the scope %s", ErrForbidden, p.scope)
	}
	return nil
}

// errToken refuses personal access tokens.
var errToken = fmt.Errorf("%w: a personal access token cannot do that", ErrForbidden)

// actingUser reads the person who acts on what is their own. A personal access token has nothing of its own.
func (i *access) actingUser(ctx context.Context, a Actor) (*storage.User, error) {
	if a.kind == tokenActor {
		return nil, errToken
	}
	return i.activeUser(ctx, a)
}

func (i *access) activeUser(ctx context.Context, a Actor) (*storage.User, error) {
	u, err := i.store.User(ctx, a.UserID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active() {
		return nil, fmt.Errorf("%w: the account is not active", ErrForbidden)
	}
	return u, err
}

// authorizeSelf admits the person concerned, and those who administer the installation.
func (i *access) authorizeSelf(ctx context.Context, a *Actor, userID uuid.UUID) error {
	if a.kind == personActor && a.UserID != uuid.Nil && a.UserID == userID {
		return nil
	}
	return i.Authorize(ctx, a, ManagePlatform, uuid.Nil)
}

// hasRole reports whether a person has one of the platform roles.
func hasRole(u *storage.User, roles ...string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(u.PlatformRoles, role) })
}
