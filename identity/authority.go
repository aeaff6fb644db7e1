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

// Actor is who acts: a signed-in user, a personal access token, or the operator at the command line. The zero kind is
// a user.
type Actor struct {
	UserID uuid.UUID
	// RequestID ties the audit event to the access log.
	RequestID string

	kind actorKind
	// organization, scopes and token belong to a personal access token: its only organization, its scopes and its id.
	organization uuid.UUID
	scopes       []string
	token        uuid.UUID
	// authority is what the action was allowed for. Events carry it, and the transaction that writes an event checks
	// it again.
	authority storage.Authority
}

type actorKind int

const (
	personActor actorKind = iota
	operatorActor
	tokenActor
)

// Operator acts with the authority of a person who can read the server's keys.
func Operator() Actor { return Actor{kind: operatorActor} }

// Event returns an event of this actor.
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

// Action is something that needs permission.
type Action int

// The actions. Those on an organization need its id.
const (
	ReadPlatform       Action = iota // read all people, organizations, clients and settings
	ManagePlatform                   // change them
	SeeOrganization                  // know that an organization exists
	ReadOrganization                 // read its members, invitations and policy
	ManageOrganization               // change its name and policy
	ManageMembers                    // invite, change and remove members below owner
	ManageOwners                     // the same for owners
)

// permission says who may do an action. The operator may do everything.
type permission struct {
	// platform are the platform roles that may do it in every organization.
	platform []string
	// role is the lowest role in the organization that may do it; "" if none may.
	role string
	// scope is what a personal access token of such a member needs; "" if no token may, because the effect could
	// outlast the token or reach beyond its organization.
	scope string
}

var (
	superadmins = []string{storage.RoleSuperadmin}
	readers     = []string{storage.RoleSuperadmin, storage.RolePlatformAdmin} // platform admins only read

	// permissions says for each action who may do it. An action without a row is refused.
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

// access is what all nouns share: the database, the clock and the permissions.
type access struct {
	store *storage.Store
	now   func() time.Time
}

func (x *access) currentTime() time.Time { return x.now().UTC().Truncate(time.Microsecond) }

// Authorize checks the table of permissions and notes in a what the action was allowed for. Roles are read at every
// action, so that a removed role or a disabled account takes effect at once. Errors: ErrForbidden, and
// storage.ErrNotFound for an actor that may not know of the organization.
func (x *access) Authorize(ctx context.Context, a *Actor, action Action, organizationID uuid.UUID) error {
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
	u, err := x.activeUser(ctx, *a)
	if err != nil || a.kind == personActor && hasRole(u, p.platform...) {
		return err
	}
	if p.role == "" {
		return fmt.Errorf("%w: it needs the platform role %s", ErrForbidden, strings.Join(p.platform, " or "))
	}
	role, err := x.store.Role(ctx, organizationID, a.UserID)
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

// actingUser reads the user who acts on their own account, which a personal access token may not do.
func (x *access) actingUser(ctx context.Context, a Actor) (*storage.User, error) {
	if a.kind == tokenActor {
		return nil, errToken
	}
	return x.activeUser(ctx, a)
}

func (x *access) activeUser(ctx context.Context, a Actor) (*storage.User, error) {
	u, err := x.store.User(ctx, a.UserID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active() {
		return nil, fmt.Errorf("%w: the account is not active", ErrForbidden)
	}
	return u, err
}

// authorizeSelf admits the user concerned and those with ManagePlatform.
func (x *access) authorizeSelf(ctx context.Context, a *Actor, userID uuid.UUID) error {
	if a.kind == personActor && a.UserID != uuid.Nil && a.UserID == userID {
		return nil
	}
	return x.Authorize(ctx, a, ManagePlatform, uuid.Nil)
}

// hasRole reports whether a user has one of the platform roles.
func hasRole(u *storage.User, roles ...string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(u.PlatformRoles, role) })
}
