package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// warnings are the sentences about settings that were given and have no effect.
func (l *loader) warnings(c *Config, values map[string]value) []string {
	var out []string
	if names := slices.Sorted(maps.Keys(l.ignored)); len(names) > 0 {
		for i, n := range names {
			if near := nearestName(n); near != "" {
				names[i] = n + " (did you mean " + near + "?)"
			}
		}
		out = append(out, "these settings are not known here and are ignored: "+strings.Join(names, ", "))
	}
	return append(out, mailWarnings(c, values)...)
}

// replacedPrefixes begin the names of settings of Flask-Security, Flask-Mail and Flask: an operator who carries over an
// .env must hear which of them do nothing here.
var replacedPrefixes = []string{"SECURITY_", "MAIL_", "SESSION_"}

// isReplacedName reports whether n looks like a setting of a system that this product replaces. Desktops set
// SESSION_MANAGER in every terminal (the X session management protocol).
func isReplacedName(n string) bool {
	return n != "SESSION_MANAGER" && slices.ContainsFunc(replacedPrefixes,
		func(p string) bool { return strings.HasPrefix(n, p) })
}

// nearestName is the accepted environment variable that n resembles most, "" if it resembles none. A key without its
// prefix leads to the name with it.
func nearestName(n string) string {
	var bare []string
	for _, s := range settings(&Config{}) {
		if n == s.key {
			return envPrefix + s.key
		}
		bare = append(append(bare, s.aliases...), s.key)
	}
	best := nearest(n, bare, len(n)/4)
	if _, ok := envNames()[best]; best != "" && !ok {
		return envPrefix + best
	}
	return best
}

// mailWarnings name providers of mail that have a key although no MAIL_PROVIDER chooses them.
func mailWarnings(c *Config, values map[string]value) []string {
	if _, given := values["MAIL_PROVIDER"]; given {
		return nil
	}
	var out []string
	for _, p := range []struct{ key, provider string }{{"MAILGUN_API_KEY", "mailgun"}, {"SENDGRID_API_KEY", "sendgrid"}} {
		if _, given := values[p.key]; given {
			out = append(out, fmt.Sprintf("%s has no effect: mail goes to %s unless MAIL_PROVIDER is %s", p.key, mailTarget(c),
				p.provider))
		}
	}
	return out
}

// mailTarget words where mail goes now.
func mailTarget(c *Config) string {
	switch c.Mail.Provider {
	case "":
		return "nobody"
	case "smtp":
		return "MAIL_SERVER"
	}
	return "the outbox page"
}
