package importer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/importer"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	bcryptOfPassword = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	werkzeugHash     = "pbkdf2:sha256:1000$DD6RjnsO$318c5bc93a31adef1978cdcfd4ed322e293f270549bf19e7d389f8ce21b467d6"
)

// installation is an empty installation with what these tests ask of it.
type installation struct{ *harness.Installation }

func eachEngine(t *testing.T, f func(t *testing.T, in *installation)) {
	t.Helper()
	harness.EachInstallation(t, func(t *testing.T, in *harness.Installation) { f(t, &installation{in}) })
}

func onSQLite(t *testing.T) *installation {
	t.Helper()
	return &installation{harness.Open(t, storage.SQLite)}
}

func (in *installation) importing(t *testing.T, text string, o importer.Options) (*importer.Result, error) {
	t.Helper()
	return in.Importer.Import(t.Context(), identity.Operator(), strings.NewReader(text), o)
}

func (in *installation) mustImport(t *testing.T, text string, o importer.Options) *importer.Result {
	t.Helper()
	done, err := in.importing(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (in *installation) withOrganizations(t *testing.T, slugs ...string) {
	t.Helper()
	for _, slug := range slugs {
		if _, err := in.Identity.Organizations.Create(t.Context(), identity.Operator(), slug, slug, uuid.Nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Both forms say the same, and everything of a line arrives.
func TestAFileBecomesPeople(t *testing.T) {
	files := map[string]string{
		"JSON Lines": `{"email":"Ada@Example.com","name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","phone_number":"+44 20 5550100","phone_number_verified":true,"password_hash":"` + werkzeugHash + `","organization":"acme-corp","role":"admin"}

{"email":"bob@example.com","email_verified":false,"disabled":true,"address":{"formatted":"1 Lane"},"organizations":{"acme-corp":"member"}}
`,
		"CSV": "\ufeffEmail,name,given_name,family_name,phone_number,phone_number_verified,password_hash,organization,role,email_verified,disabled,address\r\n" +
			"Ada@Example.com,Ada Lovelace,Ada,Lovelace,+44 20 5550100,yes," + werkzeugHash + ",acme-corp,admin,,,\r\n" +
			"bob@example.com,,,,,,,acme-corp,,false,true,1 Lane\r\n",
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, in *installation) {
				in.withOrganizations(t, "acme-corp")
				want := &importer.Result{People: 2, Created: 2, Exists: []importer.Line{}}
				if diff := cmp.Diff(want, in.mustImport(t, file, importer.Options{})); diff != "" {
					t.Error(diff)
				}
				ada, hash, err := in.Store.UserWithPassword(t.Context(), "ada@example.com")
				if err != nil {
					t.Fatal(err)
				}
				profile := storage.Profile{Name: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace", PhoneNumber: "+44 20 5550100", PhoneNumberVerified: true}
				if ada.Email != "Ada@Example.com" || !ada.EmailVerified() || !ada.Active() || hash != werkzeugHash {
					t.Errorf("ada: %+v with %q", ada, hash)
				}
				if diff := cmp.Diff(profile, ada.Profile); diff != "" {
					t.Error(diff)
				}
				bob, hash, err := in.Store.UserWithPassword(t.Context(), "bob@example.com")
				if err != nil {
					t.Fatal(err)
				}
				if bob.EmailVerified() || bob.Active() || hash != "" || bob.Profile.Address == nil || bob.Profile.Address.Formatted != "1 Lane" {
					t.Errorf("bob: %+v with %q", bob, hash)
				}
				acme, err := in.Store.OrganizationBySlug(t.Context(), "acme-corp")
				if err != nil {
					t.Fatal(err)
				}
				for id, want := range map[uuid.UUID]string{ada.ID: "admin", bob.ID: "member"} {
					if role, err := in.Store.Role(t.Context(), acme.ID, id); err != nil || role != want {
						t.Errorf("role %q, %v; want %s", role, err, want)
					}
				}
			})
		})
	}
}

// Whatever is wrong is told with its line, all of it at once, and nothing changes.
func TestAFileWithAFaultChangesNothing(t *testing.T) {
	in := onSQLite(t)
	in.withOrganizations(t, "acme-corp")
	const good = `{"email":"good@example.com"}` + "\n"
	for name, tc := range map[string]struct {
		file string
		want []string // beginnings of lines of the error
	}{
		"no address":        {good + `{"name":"Nobody"}`, []string{"line 2: email: "}},
		"two at once":       {good + `{"email":"a@b@c"}` + "\n\n" + `{"email":"x@example.com","birthdate":"yesterday"}`, []string{"line 2: email: ", "line 4: birthdate: "}},
		"unknown member":    {good + `{"email":"x@example.com","password":"hunter2"}`, []string{"line 2: password: is not known"}},
		"wrong type":        {good + `{"email":7}`, []string{"line 2: email: has a value of the wrong type"}},
		"no JSON":           {good + `{"email":`, []string{"line 2: line: is not JSON"}},
		"no object":         {good + `"x"`, []string{"line 2: line: is no object"}},
		"two objects":       {good + `{"email":"x@example.com"} {"email":"y@example.com"}`, []string{"line 2: line: has something behind"}},
		"an array":          {`[{"email":"x@example.com"}]`, []string{"line 1: file: is a JSON array"}},
		"no UTF-8":          {good + "{\"email\":\"x@example.com\",\"name\":\"\xff\"}", []string{"line 2: line: is not UTF-8"}},
		"a long line":       {good + `{"email":"` + strings.Repeat("x", importer.MaxLine) + `"}`, []string{"line 2: line: has more than"}},
		"twice":             {good + "\n" + `{"email":" GOOD@example.com"}`, []string{"line 3: email: is that of line 1"}},
		"hash":              {good + `{"email":"x@example.com","password_hash":"$1$abc$def"}`, []string{"line 2: password_hash: it is of no known kind"}},
		"hash too costly":   {good + `{"email":"x@example.com","password_hash":"pbkdf2:sha256:999999999$salt$` + strings.Repeat("0", 64) + `"}`, []string{"line 2: password_hash: pbkdf2 iterations"}},
		"pepper not ours":   {good + `{"email":"x@example.com","password_hash":"$hmac-sha512$keyid=AAAA` + bcryptOfPassword + `"}`, []string{"line 2: password_hash: pepper AAAA is not configured"}},
		"no organization":   {good + `{"email":"x@example.com","organization":"nowhere"}`, []string{`line 2: organization: there is no organization "nowhere"`}},
		"role alone":        {good + `{"email":"x@example.com","role":"owner"}`, []string{"line 2: role: is given without"}},
		"no role":           {good + `{"email":"x@example.com","organization":"acme-corp","role":"king"}`, []string{`line 2: role: "king" is no role`}},
		"script as picture": {good + `{"email":"x@example.com","picture":"javascript:alert(1)"}`, []string{"line 2: picture: "}},
		"CSV column":        {"email,password\nx@example.com,hunter2\n", []string{`line 1: column[2]: "password" is not known`}},
		"CSV column twice":  {"email,email\n", []string{`line 1: column[2]: "email" is there twice`}},
		"CSV without email": {"name\nBob\n", []string{"line 1: column: email is missing"}},
		"CSV columns":       {"email,name\nx@example.com,X,Y\ny@example.com,Y\nz@,Z\n", []string{"line 2: line: has 3 columns instead of 2", "line 4: email: "}},
		"CSV quotes":        {"email,name\nx@example.com,\"X\ny@example.com,Y\n", []string{"line 2: line: is not CSV"}},
		"CSV flag":          {"email,disabled\nx@example.com,maybe\n", []string{`line 2: disabled: "maybe" is neither`}},
		"CSV several lines": {"email,name\n\"x@example.com\",\"X\nY\"\nz@,Z\n", []string{"line 2: name: ", "line 4: email: "}},
	} {
		done, err := in.importing(t, tc.file, importer.Options{})
		faults, ok := errors.AsType[*importer.FileErrors](err)
		if !ok || done != nil {
			t.Errorf("%s: got %+v, %v", name, done, err)
			continue
		}
		lines := strings.Split(faults.Error(), "\n")
		for n, want := range tc.want {
			if len(lines) != len(tc.want) || !strings.HasPrefix(lines[n], want) {
				t.Errorf("%s: got %q, want %q", name, lines, tc.want)
				break
			}
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "$1$") {
			t.Errorf("%s: the error repeats a secret: %v", name, err)
		}
	}
	if all, err := in.Store.Users(t.Context(), uuid.Nil, 10); err != nil || len(all) != 0 {
		t.Errorf("%d people were created, %v", len(all), err)
	}
	_, err := in.importing(t, strings.Repeat("{}\n", 1000), importer.Options{})
	if faults, ok := errors.AsType[*importer.FileErrors](err); !ok || len(faults.Errors) != importer.MaxFaults || faults.More != 900 {
		t.Errorf("a thousand faults: got %v", err)
	}
}

// Many lines go in batches; what was interrupted is finished by running it again.
func TestAnInterruptedImportIsFinishedByAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		var file strings.Builder
		const people = 2*importer.Batch + 7
		for n := range people {
			fmt.Fprintf(&file, `{"email":"user%d@example.com","password_hash":"%s"}`+"\n", n, bcryptOfPassword)
		}
		dry := in.mustImport(t, file.String(), importer.Options{DryRun: true})
		if dry.Created != people || dry.Skipped != 0 {
			t.Errorf("dry run: %+v", dry)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		done, err := in.Importer.Import(ctx, identity.Operator(), strings.NewReader(file.String()), importer.Options{Progress: func(what string, done, _ int) {
			if what == "people" && done == importer.Batch {
				interrupt()
			}
		}})
		if err == nil || done == nil || done.Created != importer.Batch {
			t.Fatalf("interrupted: %+v, %v", done, err)
		}
		if dry = in.mustImport(t, file.String(), importer.Options{DryRun: true}); dry.Created != people-importer.Batch || dry.Skipped != importer.Batch {
			t.Errorf("dry run in between: %+v", dry)
		}
		done = in.mustImport(t, file.String(), importer.Options{})
		if done.People != people || done.Created != people-importer.Batch || done.Skipped != importer.Batch || len(done.Exists) != importer.MaxFaults {
			t.Errorf("again: %d people, %d created, %d skipped, %d named", done.People, done.Created, done.Skipped, len(done.Exists))
		}
		if done.Exists[1] != (importer.Line{2, "user1@example.com"}) {
			t.Errorf("skipped: %+v", done.Exists[1])
		}
		if done = in.mustImport(t, file.String(), importer.Options{}); done.Created != 0 || done.Skipped != people {
			t.Errorf("a third time: %d created, %d skipped", done.Created, done.Skipped)
		}
	})
}

// Importing is for those who administer the installation.
func TestNobodyElseImports(t *testing.T) {
	in := onSQLite(t)
	if _, err := in.Importer.Import(t.Context(), identity.Actor{UserID: uuid.New()}, strings.NewReader("{}"), importer.Options{}); !errors.Is(err, identity.ErrForbidden) {
		t.Errorf("got %v, want identity.ErrForbidden", err)
	}
}
