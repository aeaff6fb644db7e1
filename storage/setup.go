package storage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// NewSetupLink stores a link that makes the first administrator, in the place of
// every one before it. ErrConflict once there is a superadmin.
func (s *Store) NewSetupLink(ctx context.Context, l *Link, e *Event) error {
	return s.change(ctx, "store a setup link", func(t *tx) error {
		if err := t.lockSetup(ctx); err != nil {
			return err
		}
		if err := t.noSuperadmin(ctx); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE links SET spent_at = ? WHERE purpose = ? AND spent_at IS NULL`, usec(s.clock()), LinkSetup); err != nil {
			return err
		}
		if err := t.createLink(ctx, l); err != nil {
			return err
		}
		return t.event(ctx, e)
	})
}

// Bootstrap spends a setup link and creates the first administrator. ErrSpent if
// the link was used, has expired or is not the newest, ErrConflict if there is a
// superadmin already, ErrExists if an account has the address.
func (s *Store) Bootstrap(ctx context.Context, link secret.Hash, p *NewUser) error {
	return s.change(ctx, "create the first administrator", func(t *tx) error {
		if err := t.lockSetup(ctx); err != nil {
			return err
		}
		if err := t.spendLink(ctx, link, LinkSetup); err != nil {
			return err
		}
		if err := t.noSuperadmin(ctx); err != nil {
			return err
		}
		return t.createUser(ctx, p)
	})
}

// lockSetup makes those who begin the installation queue: two nodes that start
// together would each print a token that counts.
func (t *tx) lockSetup(ctx context.Context) error {
	return t.do(ctx, `UPDATE versions SET n = n WHERE name = ?`, VersionRegistry)
}

// noSuperadmin is ErrConflict if there is a superadmin.
func (t *tx) noSuperadmin(ctx context.Context) error {
	return t.require(ctx, ErrConflict, `SELECT NOT EXISTS (SELECT 1 FROM users WHERE platform_roles <> ''
		AND ' ' || platform_roles || ' ' LIKE '% superadmin %' AND disabled_at IS NULL AND deleted_at IS NULL)`)
}

const settingTests = "client_tests"

// ClientTest is what a client has for a while so that it can be tried out.
type ClientTest struct {
	RedirectURI string      `json:"redirect_uri,omitempty"` // "" for a client without a browser
	Secrets     []uuid.UUID `json:"secrets,omitempty"`
	Until       time.Time   `json:"until"`
}

// ClientTests returns the tests that have not ended, by client_id.
func (s *Store) ClientTests(ctx context.Context) (map[string]ClientTest, error) {
	return readClientTests(ctx, s)
}

// SetClientTest gives a client one more redirect URI and a secret beside its own
// until EndClientTest; k is nil for a client without secrets. Another test of the
// same client goes on. ErrNotFound for a deleted client.
func (r *RegistryEdit) SetClientTest(ctx context.Context, clientID, redirectURI string, k *ClientSecret, until time.Time, e *Event) error {
	tests, err := readClientTests(ctx, r.tx)
	if err != nil {
		return err
	}
	test := tests[clientID]
	test.Until = until
	if redirectURI != "" {
		test.RedirectURI = redirectURI
		err = r.editRedirects(ctx, clientID, func(uris []string) []string {
			if slices.Contains(uris, redirectURI) {
				return uris
			}
			return append(uris, redirectURI)
		})
	} else {
		err = r.editRedirects(ctx, clientID, func(uris []string) []string { return uris })
	}
	if err != nil {
		return err
	}
	if k != nil {
		if err := r.insertTestSecret(ctx, clientID, k); err != nil {
			return err
		}
		test.Secrets = append(test.Secrets, k.ID)
	}
	tests[clientID] = test
	if err := r.putClientTests(ctx, tests); err != nil {
		return err
	}
	return r.tx.event(ctx, e)
}

// EndClientTest takes the test's redirect URI and secrets away again. ErrNotFound
// if the client is not being tested (any more).
func (r *RegistryEdit) EndClientTest(ctx context.Context, clientID string, e *Event) error {
	tests, err := readClientTests(ctx, r.tx)
	if err != nil {
		return err
	}
	test, ok := tests[clientID]
	if !ok {
		return ErrNotFound
	}
	err = r.editRedirects(ctx, clientID, func(uris []string) []string {
		return slices.DeleteFunc(uris, func(u string) bool { return u == test.RedirectURI })
	})
	if err != nil && !errors.Is(classify(err), ErrNotFound) { // not found: deleted meanwhile, with all it had
		return err
	}
	for _, k := range test.Secrets {
		if _, err := r.tx.exec(ctx, `DELETE FROM client_secrets WHERE id = ?`, id(k)); err != nil {
			return err
		}
	}
	delete(tests, clientID)
	if err := r.putClientTests(ctx, tests); err != nil {
		return err
	}
	return r.tx.event(ctx, e)
}

// readClientTests reads them from the Store, or inside an edit, which others wait for.
func readClientTests(ctx context.Context, q executor) (map[string]ClientTest, error) {
	tests := map[string]ClientTest{}
	err := q.row(ctx, `SELECT value FROM settings WHERE name = ?`, settingTests).Scan(&tests)
	if errors.Is(classify(err), ErrNotFound) {
		err = nil
	}
	return tests, fault("read the tests of clients", err)
}

func (r *RegistryEdit) putClientTests(ctx context.Context, tests map[string]ClientTest) error {
	value, err := json.Marshal(tests)
	if err != nil {
		return err
	}
	return r.tx.do(ctx, `INSERT INTO settings (name, value, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, settingTests, string(value), r.now)
}

// editRedirects changes the redirect URIs that a client has now, and nothing else.
func (r *RegistryEdit) editRedirects(ctx context.Context, clientID string, edit func([]string) []string) error {
	var m Metadata
	err := r.tx.row(ctx, `SELECT metadata FROM clients WHERE id = ? AND deleted_at IS NULL`, clientID).Scan(&m)
	if err != nil {
		return err
	}
	r.note(changedClient, clientID)
	m.RedirectURIs = edit(m.RedirectURIs)
	metadata, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err = r.tx.exec(ctx, `UPDATE clients SET metadata = ?, updated_at = ? WHERE id = ?`, string(metadata), r.now,
		clientID); err != nil {
		return err
	}
	return r.indexOrigins(ctx, clientID)
}

// insertTestSecret stores it as older than any other secret: a rotation keeps the
// newest, and that must never be this one.
func (r *RegistryEdit) insertTestSecret(ctx context.Context, clientID string, k *ClientSecret) error {
	k.ID = uuid.Must(uuid.NewV7())
	return r.tx.do(ctx, `INSERT INTO client_secrets (id, client_id, key_id, mac, phc, weak, created_at, expires_at) VALUES (?, ?, ?, ?, '', ?, 0, ?)`,
		id(k.ID), clientID, k.KeyID, k.MAC, k.Weak, usec(k.ExpiresAt))
}
