package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// consentTo remembers that a person allowed a client something.
func consentTo(t *testing.T, s *Store, user uuid.UUID, client string, organization uuid.UUID, expires time.Time) {
	t.Helper()
	behind(t, s, `INSERT INTO consents (user_id, client_id, organization_id, scopes, granted_at, expires_at) VALUES (?, ?, ?, 'openid email', ?, ?)`,
		id(user), client, organization.String(), usec(s.clock()), usec(expires))
}

// Only what still counts is a connection: not what ran out, was withdrawn, or lived
// in a session that has ended.
func TestConnectionsAreWhatCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		stopClock(s)
		user := guest(t, s)
		o := organization(t, s, "acme-corp", user)
		for _, c := range []string{"app", "zebra", "gone"} {
			edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
				return r.CreateClient(ctx, newClient(c), &Event{Type: "client.created"})
			})
		}
		live := mustSignIn(t, s, signIn(s, user, secret.Hash{}, secret.HashOf("live"))).ID
		over := mustSignIn(t, s, signIn(s, user, secret.Hash{}, secret.HashOf("over"))).ID
		behind(t, s, `UPDATE sessions SET idle_expires_at = ? WHERE id = ?`, usec(s.clock()), id(over))
		online, offline := grantTo(t, s, user, live, false), grantTo(t, s, user, over, true)
		grantTo(t, s, user, over, false)
		behind(t, s, `UPDATE grants SET expires_at = ? WHERE id = ?`, usec(s.clock()), id(grantTo(t, s, user, live, true)))
		behind(t, s, `UPDATE grants SET organization_id = ? WHERE id = ?`, id(o.ID), id(offline))
		later := s.clock().Add(time.Hour)
		consentTo(t, s, user, "zebra", o.ID, later)
		consentTo(t, s, user, "zebra", uuid.Nil, s.clock())
		consentTo(t, s, user, "gone", uuid.Nil, later)
		consentTo(t, s, guest(t, s), "zebra", uuid.Nil, later)
		edit(t, s, func(ctx context.Context, r *RegistryEdit) error {
			return r.DeleteClient(ctx, "gone", &Event{Type: "client.deleted"})
		})

		type row struct {
			Client, Organization string
			Grant                uuid.UUID
			Offline              bool
		}
		list := func() (got []row) {
			t.Helper()
			all, err := s.ConnectedApps(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				r := row{c.Client.ID, "", c.GrantID, c.Offline}
				if c.Organization != nil {
					r.Organization = c.Organization.Slug
				}
				got = append(got, r)
			}
			return got
		}
		want := map[row]bool{{"app", "", online, false}: true, {"app", "acme-corp", offline, true}: true, {"zebra", "acme-corp", uuid.Nil, false}: true}
		got := map[row]bool{}
		for _, r := range list() {
			got[r] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}

		if err := s.Disconnect(t.Context(), user, "zebra", &Event{Type: "app.disconnected"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Disconnect(t.Context(), user, "app", &Event{Type: "app.disconnected"}); err != nil {
			t.Fatal(err)
		}
		if left := list(); len(left) != 0 || !isRevoked(t, s, online) || !isRevoked(t, s, offline) {
			t.Errorf("left: %v", left)
		}
		if n := counted(t, s, `SELECT count(*) FROM consents WHERE withdrawn_at IS NULL`); n != 1 {
			t.Errorf("%d consents are left, want the other person's", n)
		}
		if err := s.Disconnect(t.Context(), user, "app", &Event{Type: "app.disconnected"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("again: got %v, want ErrNotFound", err)
		}
	})
}
