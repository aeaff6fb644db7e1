package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	// importBatch is how many users are created in one transaction.
	importBatch = 500
	// maxImportFaults bounds the listed errors of a file in an entirely different format.
	maxImportFaults = 100
)

// Config has what an Importer needs.
type Config struct {
	Store     *storage.Store
	Identity  *identity.Domain
	Passwords *secret.Passwords
	Now       func() time.Time
}

// Importer creates users from files. It is safe for concurrent use.
type Importer struct {
	store     *storage.Store
	identity  *identity.Domain
	passwords *secret.Passwords
	now       func() time.Time
}

// New returns an Importer.
func New(c Config) *Importer {
	return &Importer{store: c.Store, identity: c.Identity, passwords: c.Passwords, now: c.Now}
}

// Options say how a file is imported.
type Options struct {
	// Peppered says that PASSWORD_PEPPER went into every hash, as Flask-Security does with SECURITY_PASSWORD_SALT.
	Peppered bool
	// TOTPSecrets decrypt the TOTP secrets of the file, as Flask-Security does with SECURITY_TOTP_SECRETS.
	TOTPSecrets secret.PasslibSecrets
	// Authenticator makes the confirmed authenticator app of a user from its seed.
	Authenticator func(userID uuid.UUID, seed []byte) (*storage.Factor, error)
	// DryRun checks the file, counts, and changes nothing.
	DryRun bool
	// Progress, if not nil, is told how much of the work is done.
	Progress func(what string, done, of int)
}

// Result is what was done with a file.
type Result struct {
	People  int `json:"people"` // in the file
	Created int `json:"created"`
	// Skipped have an address that has an account already; Exists names the first hundred.
	Skipped int    `json:"skipped"`
	Exists  []Line `json:"exists"`
}

// Line is a user of the file.
type Line struct {
	Line  int    `json:"line"`
	Email string `json:"email"`
}

// LineError is one thing that is wrong in a line. It never contains a hash.
type LineError struct {
	Line int
	identity.FieldError
}

// FileErrors is everything that is wrong in a file, as an error. More counts those that are not listed.
type FileErrors struct {
	Errors []LineError
	More   int
}

func (f *FileErrors) Error() string {
	lines := make([]string, len(f.Errors))
	for n, x := range f.Errors {
		lines[n] = fmt.Sprintf("line %d: %s", x.Line, x.FieldError)
	}
	if f.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", f.More))
	}
	return strings.Join(lines, "\n")
}

func (f *FileErrors) add(line int, all identity.FieldErrors) {
	for _, x := range all {
		if len(f.Errors) < maxImportFaults {
			f.Errors = append(f.Errors, LineError{line, x})
		} else {
			f.More++
		}
	}
}

// Import creates the users of a file in JSON Lines or CSV. It first checks the whole file: if it returns *FileErrors,
// nothing was changed. Then it creates users in batches. An address that has an account already is skipped, so an
// import that was interrupted, which returns what was done with the error, is finished by running it again.
//
// Addresses count as verified unless the line says otherwise, because the operator vouches for them.
func (p *Importer) Import(ctx context.Context, a identity.Actor, file io.ReadSeeker, o Options) (*Result, error) {
	if err := p.identity.Authorize(ctx, &a, identity.ManagePlatform, uuid.Nil); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	im := &run{Importer: p, a: a, o: o, slugs: map[string]uuid.UUID{}}
	people, err := im.check(ctx, file)
	if err != nil {
		return nil, err
	}
	im.done.People = people
	im.done.Exists = []Line{}
	err = im.create(ctx, file)
	return &im.done, err
}

// run is one import.
type run struct {
	*Importer
	a     identity.Actor
	o     Options
	slugs map[string]uuid.UUID // of organizations; uuid.Nil if there is none
	done  Result
}

// imported is a user to create, with the line.
type imported struct {
	line int
	*storage.NewUser
}

// check reads the file once and returns how many users it has.
func (im *run) check(ctx context.Context, file io.ReadSeeker) (people int, err error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	var wrong FileErrors
	lines := map[string]int{} // where each address was seen first
	err = im.eachPerson(ctx, file, func(n int, p *storage.NewUser, faults identity.FieldErrors, at int64) error {
		if p != nil {
			if first := lines[p.User.EmailKey]; first > 0 {
				faults.Add("email", fmt.Sprintf("is that of line %d", first),
					"write each person once; organizations takes several")
			} else if p.User.EmailKey != "" {
				lines[p.User.EmailKey] = n
			}
		}
		wrong.add(n, faults)
		if people++; people%importBatch == 0 {
			im.o.Progress("percent checked", int(at*99/max(size, 1)), 100)
		}
		return ctx.Err()
	})
	if err != nil {
		return 0, err
	}
	if people >= importBatch {
		im.o.Progress("percent checked", 100, 100)
	}
	if len(wrong.Errors) > 0 {
		return 0, &wrong
	}
	return people, nil
}

// create reads the file again and creates the users. An error in a line is still possible: the file or an organization
// may have changed since the check.
func (im *run) create(ctx context.Context, file io.ReadSeeker) error {
	var batch []imported
	flush := func() error {
		if err := im.batch(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
		im.o.Progress("people", im.done.Created+im.done.Skipped, im.done.People)
		return nil
	}
	err := im.eachPerson(ctx, file, func(n int, p *storage.NewUser, faults identity.FieldErrors, _ int64) error {
		if len(faults) > 0 {
			var wrong FileErrors
			wrong.add(n, faults)
			return &wrong
		}
		if batch = append(batch, imported{n, p}); len(batch) < importBatch {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return err
}

// eachPerson calls each for every line with its user, nil if the line cannot be read, and all that is wrong with it.
func (im *run) eachPerson(ctx context.Context, file io.ReadSeeker,
	each func(line int, p *storage.NewUser, faults identity.FieldErrors, at int64) error) error {
	return readImport(file, func(n int, l *importLine, faults identity.FieldErrors, at int64) error {
		if l == nil {
			return each(n, nil, faults, at)
		}
		p, more, err := im.person(ctx, l)
		if err != nil {
			return err
		}
		return each(n, p, append(faults, more...), at)
	})
}

// batch creates the users whose addresses have no account yet.
func (im *run) batch(ctx context.Context, all []imported) error {
	keys := make([]string, len(all))
	for n, p := range all {
		keys[n] = p.User.EmailKey
	}
	taken, err := im.store.TakenAddresses(ctx, keys)
	if err != nil {
		return err
	}
	var fresh []imported
	var people []*storage.NewUser
	for _, p := range all {
		if slices.Contains(taken, p.User.EmailKey) {
			im.skip(p)
			continue
		}
		fresh, people = append(fresh, p), append(people, p.NewUser)
	}
	if im.o.DryRun || len(fresh) == 0 {
		im.done.Created += len(fresh)
		return nil
	}
	switch err := im.store.CreateUsers(ctx, people...); {
	case errors.Is(err, storage.ErrExists): // an address was registered in the meantime
		return im.oneByOne(ctx, fresh)
	case err != nil:
		return err
	}
	im.done.Created += len(fresh)
	return nil
}

func (im *run) oneByOne(ctx context.Context, all []imported) error {
	for _, p := range all {
		switch err := im.store.CreateUsers(ctx, p.NewUser); {
		case errors.Is(err, storage.ErrExists):
			im.skip(p)
		case err != nil:
			return err
		default:
			im.done.Created++
		}
	}
	return nil
}

func (im *run) skip(p imported) {
	im.done.Skipped++
	if len(im.done.Exists) < maxImportFaults {
		im.done.Exists = append(im.done.Exists, Line{p.line, p.User.Email})
	}
}

// person applies the rules to a line.
func (im *run) person(ctx context.Context, l *importLine) (*storage.NewUser, identity.FieldErrors, error) {
	var faults identity.FieldErrors
	key, err := identity.EmailKey(l.Email)
	faults.AddAll(err)
	if l.Nickname == nil {
		l.Nickname = l.PreferredUsername
	}
	_, err = l.ProfilePatch.Check()
	faults.AddAll(err)
	n := identity.NewUser{Email: l.Email}
	l.ProfilePatch.Apply(&n.Profile)
	n.Profile.PhoneNumberVerified = l.PhoneNumberVerified && n.Profile.PhoneNumber != ""
	p := identity.PrepareUser(im.a, n, key, im.now().UTC().Truncate(time.Microsecond))
	if l.EmailVerified != nil && !*l.EmailVerified {
		p.User.EmailVerifiedAt = time.Time{}
	}
	if l.Disabled {
		p.User.DisabledAt = p.User.CreatedAt
		identity.WithFact(p.Events[0], "disabled", true)
	}
	p.PasswordHash = im.hash(&faults, strings.TrimSpace(l.PasswordHash))
	if err := im.authenticator(&faults, p, string(l.TOTPSecret)); err != nil {
		return nil, nil, err
	}
	return p, faults, im.join(ctx, &faults, p, l)
}

// authenticator adds the authenticator app that the user had in the other system.
func (im *run) authenticator(faults *identity.FieldErrors, p *storage.NewUser, given string) error {
	if given == "" {
		return nil
	}
	if !p.User.EmailVerified() {
		faults.Add("totp_secret", "is given for an address that is not verified",
			"leave it out: no second step attaches before the address is proven")
		return nil
	}
	seed, err := im.o.TOTPSecrets.OpenTOTP(given)
	if err != nil {
		faults.Add("totp_secret", err.Error(), "see docs/import.md; without it they set up two-step verification anew")
		return nil
	}
	if p.Authenticator, err = im.o.Authenticator(p.User.ID, seed); err != nil {
		return err
	}
	identity.WithFact(p.Events[0], "totp", true)
	return nil
}

// hash is the stored form of a password hash.
func (im *run) hash(faults *identity.FieldErrors, given string) string {
	if given == "" {
		return ""
	}
	stored, err := given, error(nil)
	if im.o.Peppered {
		stored, err = im.passwords.Peppered(given)
	}
	if err == nil {
		err = im.passwords.CheckHash(stored)
	}
	if err != nil {
		problem := strings.TrimPrefix(err.Error(), secret.ErrBadHash.Error()+": ")
		faults.Add("password_hash", problem,
			"see docs/import.md for the kinds that are verified; without one they choose a new password by mail")
	}
	return stored
}

// join adds memberships in the organizations of the line.
func (im *run) join(ctx context.Context, faults *identity.FieldErrors, p *storage.NewUser, l *importLine) error {
	roles, wrong := l.roles()
	*faults = append(*faults, wrong...)
	for _, slug := range slices.Sorted(maps.Keys(roles)) {
		id, err := im.organization(ctx, slug)
		if err != nil {
			return err
		}
		if id == uuid.Nil {
			faults.Add("organization", fmt.Sprintf("there is no organization %q", identity.Clip(slug)),
				"create it first: sallyport orgs create SLUG")
		}
		faults.AddAll(identity.CheckRole(roles[slug]))
		if p.Roles == nil {
			p.Roles = map[uuid.UUID]string{}
		}
		p.Roles[id] = roles[slug]
		p.Events = append(p.Events, identity.MembershipEvent(im.a, storage.EventMembershipCreated, id, p.User.ID,
			roles[slug]))
	}
	return nil
}

func (im *run) organization(ctx context.Context, slug string) (uuid.UUID, error) {
	if id, known := im.slugs[slug]; known {
		return id, nil
	}
	o, err := im.store.OrganizationBySlug(ctx, slug)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		im.slugs[slug] = uuid.Nil
	case err != nil:
		return uuid.Nil, err
	default:
		im.slugs[slug] = o.ID
	}
	return im.slugs[slug], nil
}
