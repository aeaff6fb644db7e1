package identity

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// The lengths of claims, in characters and in bytes of a URL.
const (
	maxClaim      = 200
	maxClaimURL   = 2048
	maxAddressAll = 500
)

var (
	zoneGrammar   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)
	localeGrammar = regexp.MustCompile(`^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}$`)
	phoneGrammar  = regexp.MustCompile(`^\+?[0-9 ().-]{3,30}(;ext=[0-9]{1,10})?$`)
)

// claim is one member of a patch: the new value, its place in the profile, and its rule.
type claim struct {
	name      string
	value, to *string
	check     func(faults *FieldErrors, name, value string)
}

// claims are the members of the patch, with their places in the profile to.
func (p *ProfilePatch) claims(to *storage.Profile) []claim {
	return []claim{
		{"name", p.Name, &to.Name, checkLine},
		{"given_name", p.GivenName, &to.GivenName, checkLine},
		{"family_name", p.FamilyName, &to.FamilyName, checkLine},
		{"middle_name", p.MiddleName, &to.MiddleName, checkLine},
		{"nickname", p.Nickname, &to.Nickname, checkLine},
		{"profile", p.ProfileURL, &to.ProfileURL, checkClaimURL},
		{"picture", p.Picture, &to.Picture, checkClaimURL},
		{"website", p.Website, &to.Website, checkClaimURL},
		{"gender", p.Gender, &to.Gender, checkLine},
		{"birthdate", p.Birthdate, &to.Birthdate, checkBirthdate},
		{"zoneinfo", p.Zoneinfo, &to.Zoneinfo, matching(zoneGrammar, "is no time zone", "write it like Europe/Berlin")},
		{"locale", p.Locale, &to.Locale, matching(localeGrammar, "is no language", "write it like en-GB")},
		{"phone_number", p.PhoneNumber, &to.PhoneNumber,
			matching(phoneGrammar, "is no phone number", "write it like +49 30 5550100")},
	}
}

// Check returns the names of the claims that the patch changes. The error is FieldErrors.
func (p *ProfilePatch) Check() (changed []string, err error) {
	var faults FieldErrors
	for _, c := range p.claims(&storage.Profile{}) {
		if c.value == nil {
			continue
		}
		*c.value = strings.TrimSpace(*c.value)
		changed = append(changed, c.name)
		if *c.value != "" {
			c.check(&faults, c.name, *c.value)
		}
	}
	if p.Address != nil {
		changed = append(changed, "address")
		checkAddress(&faults, p.Address)
	}
	return changed, faults.err()
}

// Apply changes the profile.
func (p *ProfilePatch) Apply(to *storage.Profile) {
	phone := to.PhoneNumber
	for _, c := range p.claims(to) {
		if c.value != nil {
			*c.to = *c.value
		}
	}
	to.PhoneNumberVerified = to.PhoneNumberVerified && to.PhoneNumber == phone
	if p.Address != nil {
		to.Address = nil
		if !reflect.ValueOf(*p.Address).IsZero() {
			to.Address = p.Address
		}
	}
}

func checkLine(faults *FieldErrors, name, value string) { checkName(faults, name, value, maxClaim) }

func checkClaimURL(faults *FieldErrors, name, value string) {
	u, err := url.Parse(value[:min(len(value), maxClaimURL)])
	faults.AddIf(err != nil || len(value) > maxClaimURL || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		u.User != nil, name, "is no address of a web page", "write it like https://example.com/me")
}

// checkBirthdate accepts YYYY-MM-DD, YYYY, and 0000-MM-DD without the year (OpenID Connect Core 1.0, section 5.1).
func checkBirthdate(faults *FieldErrors, name, value string) {
	full := value[:min(len(value), len(time.DateOnly)+1)] // a longer text is not a date either
	if len(value) == 4 {
		full += "-01-01"
	}
	if monthDay, ok := strings.CutPrefix(full, "0000-"); ok {
		full = "2000-" + monthDay // a leap year
	}
	if _, err := time.Parse(time.DateOnly, full); err != nil {
		faults.Add(name, "is no date", "write it like 1985-04-12")
	}
}

func matching(grammar *regexp.Regexp, problem, remedy string) func(*FieldErrors, string, string) {
	return func(faults *FieldErrors, name, value string) {
		faults.AddIf(len(value) > maxClaim || !grammar.MatchString(value), name, problem, remedy)
	}
}

// checkAddress allows line breaks in formatted and street_address (section 5.1.1).
func checkAddress(faults *FieldErrors, a *storage.Address) {
	total := 0
	for _, part := range []struct {
		name  string
		value *string
	}{
		{"formatted", &a.Formatted}, {"street_address", &a.StreetAddress}, {"locality", &a.Locality},
		{"region", &a.Region}, {"postal_code", &a.PostalCode}, {"country", &a.Country},
	} {
		if len(*part.value) > 4*maxAddressAll { // before the work of looking at each line
			faults.Add("address."+part.name, fmt.Sprintf("has more than %d characters", maxAddressAll),
				"leave out what is not needed")
			continue
		}
		*part.value = strings.TrimSpace(strings.ReplaceAll(*part.value, "\r\n", "\n"))
		total += len(*part.value)
		line := *part.value
		if part.name == "formatted" || part.name == "street_address" {
			line = strings.ReplaceAll(line, "\n", " ")
		}
		if line != "" {
			checkName(faults, "address."+part.name, strings.TrimSpace(line), maxAddressAll)
		}
	}
	faults.AddIf(total > 2*maxAddressAll, "address", fmt.Sprintf("has more than %d bytes", 2*maxAddressAll),
		"leave out what is not needed")
}
