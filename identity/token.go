package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// TokenPrefix begins every personal access token.
const TokenPrefix = "sp_pat_"

// The scopes of personal access tokens, for the JSON API.
const (
	ScopeRead  = "sallyport:read"
	ScopeWrite = "sallyport:write"
)

// How long a personal access token lives.
const (
	TokenLife    = 30 * 24 * time.Hour // the default
	MaxTokenLife = 90 * 24 * time.Hour
)

// maxTokens bounds a user's active tokens.
const maxTokens = 50

// ErrTooManyTokens: the user has the maximum number of active tokens.
var ErrTooManyTokens = errors.New("too many personal access tokens")

// NewToken is a personal access token to create.
type NewToken struct {
	// Session is the one in which the user acts; nothing is created once it has ended.
	Session        uuid.UUID
	OrganizationID uuid.UUID
	Name           string
	// Scopes are ScopeRead and ScopeWrite, within TokenScopes of the user's role.
	Scopes []string
	// Life is at most MaxTokenLife; 0 is TokenLife.
	Life time.Duration
}

// Create creates a personal access token of the acting user. The token is returned only here. Errors: FieldErrors,
// storage.ErrNotFound for a user who is not a member, ErrForbidden while the address is not verified,
// ErrTooManyTokens.
func (tk *Tokens) Create(ctx context.Context, a Actor, n NewToken) (token string, t *storage.PersonalToken, err error) {
	u, err := tk.actingUser(ctx, a)
	if err != nil {
		return "", nil, err
	}
	if !u.EmailVerified() {
		return "", nil, fmt.Errorf("%w: the address is not proven", ErrForbidden)
	}
	role, err := tk.store.Role(ctx, n.OrganizationID, u.ID)
	if err != nil {
		return "", nil, err
	}
	n.Life = cmp.Or(n.Life, TokenLife)
	if err := n.check(role); err != nil {
		return "", nil, err
	}
	now := tk.currentTime()
	token = secret.NewToken(TokenPrefix)
	t = &storage.PersonalToken{ID: uuid.Must(uuid.NewV7()), Hash: secret.HashOf(token), UserID: u.ID,
		Session: n.Session, Organization: storage.Organization{ID: n.OrganizationID},
		Name: n.Name, Scopes: n.Scopes, CreatedAt: now, ExpiresAt: now.Add(n.Life)}
	e := WithFact(WithFact(userEvent(a, storage.EventTokenCreated, u.ID), "token", t.ID.String()), "scopes", t.Scopes)
	e.Organization = n.OrganizationID
	if err := tk.store.CreatePersonalToken(ctx, t, maxTokens, e); err != nil {
		return "", nil, replaceError(err, map[error]error{storage.ErrConflict: ErrTooManyTokens})
	}
	o, err := tk.store.Organization(ctx, n.OrganizationID)
	if err != nil {
		return "", nil, err
	}
	t.Organization = *o
	return token, t, nil
}

// check sorts the scopes and reports all that is wrong with the token for a member with that role.
func (n *NewToken) check(role string) error {
	var faults FieldErrors
	checkName(&faults, "name", n.Name, 100)
	n.Scopes = slices.Compact(slices.Sorted(slices.Values(n.Scopes)))
	faults.AddIf(len(n.Scopes) == 0, "scopes", "are none", "choose "+ScopeRead+" or "+ScopeWrite)
	for k, s := range n.Scopes {
		switch {
		case s != ScopeRead && s != ScopeWrite:
			faults.AddItem("scopes", k+1, fmt.Sprintf("%q is no scope of a token", Clip(s)),
				"choose "+ScopeRead+" or "+ScopeWrite)
		case !slices.Contains(TokenScopes(role), s):
			faults.AddItem("scopes", k+1, fmt.Sprintf("%s is more than %s may do", s, roleWords(role)), "leave it out")
		}
	}
	faults.AddIf(n.Life < 0 || n.Life > MaxTokenLife, "expires_in", "is not within 90 days", "choose 1 to 90 days")
	return faults.err()
}

// List returns the acting user's active personal access tokens, the newest first.
func (tk *Tokens) List(ctx context.Context, a Actor) ([]storage.PersonalToken, error) {
	u, err := tk.actingUser(ctx, a)
	if err != nil {
		return nil, err
	}
	return tk.store.PersonalTokens(ctx, u.ID)
}

// Revoke ends one of the acting user's tokens. storage.ErrNotFound if there is no such active token.
func (tk *Tokens) Revoke(ctx context.Context, a Actor, tokenID uuid.UUID) error {
	u, err := tk.actingUser(ctx, a)
	if err != nil {
		return err
	}
	return tk.store.RevokePersonalToken(ctx, u.ID, tokenID, WithFact(userEvent(a, storage.EventTokenRevoked, u.ID), "token",
		tokenID.String()))
}

// Bearer is a personal access token in use, with its owner.
type Bearer struct {
	Token storage.PersonalToken // with its organization
	User  storage.User
	Role  string // the current one
	// Scopes are the token's scopes that the role still allows.
	Scopes []string
	// Overdue says that the owner has not enrolled a second factor that a policy requires. The token is useless until
	// then.
	Overdue bool
}

// Actor is the owner, limited to the token's organization, without platform roles and without permission to change
// credentials, roles and tokens.
func (b *Bearer) Actor(requestID string) Actor {
	return Actor{UserID: b.User.ID, RequestID: requestID, kind: tokenActor, organization: b.Token.Organization.ID,
		scopes: b.Scopes, token: b.Token.ID}
}

// ByHash returns the token with that hash and its owner, in one query, and notes the use. storage.ErrNotFound for a
// token that does not exist, has expired or was revoked, and if the owner is disabled or no longer a member.
func (tk *Tokens) ByHash(ctx context.Context, hash secret.Hash) (*Bearer, error) {
	h, err := tk.store.TokenHolder(ctx, hash)
	if err != nil {
		return nil, err
	}
	now, allowed := tk.currentTime(), TokenScopes(h.Role)
	b := &Bearer{Token: h.Token, User: h.User, Role: h.Role,
		Scopes:  slices.DeleteFunc(slices.Clone(h.Token.Scopes), func(s string) bool { return !slices.Contains(allowed, s) }),
		Overdue: assurance.IsOverdue(h.User.Factors, h.Requirements, now)}
	if now.Sub(h.Token.LastUsedAt) >= UseInterval {
		tk.noteUse(h.Token.ID, now)
	}
	return b, nil
}

// TokenScopes are the scopes that a role in an organization allows: only owners and admins can change anything there.
func TokenScopes(role string) []string {
	switch role {
	case storage.RoleOwner, storage.RoleAdmin:
		return []string{ScopeRead, ScopeWrite}
	case storage.RoleMember, storage.RoleGuest:
		return []string{ScopeRead}
	}
	return nil
}

// tokenUses collects the times when tokens were last used, so that no request waits for the database.
type tokenUses struct {
	mu   sync.Mutex
	seen map[uuid.UUID]time.Time
}

func (tk *Tokens) noteUse(tokenID uuid.UUID, at time.Time) {
	tk.uses.mu.Lock()
	tk.uses.seen[tokenID] = at
	tk.uses.mu.Unlock()
}

// writeUses stores the uses in the order of the ids, so that nodes cannot block each other.
func (tk *Tokens) writeUses(ctx context.Context, pace *storage.Pace) error {
	tk.uses.mu.Lock()
	seen := tk.uses.seen
	tk.uses.seen = map[uuid.UUID]time.Time{}
	tk.uses.mu.Unlock()
	ids := slices.SortedFunc(maps.Keys(seen), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return storage.PaceEach(ctx, pace, ids, func(batch []uuid.UUID) error {
		used := make([]storage.TokenUse, 0, len(batch))
		for _, id := range batch {
			used = append(used, storage.TokenUse{ID: id, At: seen[id]})
		}
		return tk.store.TouchPersonalTokens(ctx, used)
	})
}
