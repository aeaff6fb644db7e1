package app

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// Fault is one thing wrong with the configuration. It never holds the value of
// a secret.
type Fault struct {
	Key     string // canonical key, or the name as it was written when there is no such key
	Problem string
	Example string // a line that would be right
}

// ConfigError lists every fault found, in no more than one screen for the
// usual handful.
type ConfigError struct {
	Faults []Fault
}

// Error names every fault with its example.
func (e *ConfigError) Error() string {
	var b strings.Builder
	noun := "faults"
	if len(e.Faults) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(&b, "the configuration has %d %s:", len(e.Faults), noun)
	for _, f := range e.Faults {
		fmt.Fprintf(&b, "\n  %s %s", f.Key, f.Problem)
		if f.Example != "" {
			fmt.Fprintf(&b, "\n      for example: %s", f.Example)
		}
	}
	return b.String()
}

// Setting is one key as an operator may see it.
type Setting struct {
	Key    string
	Value  string // passwords and keys are replaced
	Origin string // "default", "flag --listen", "environment SALLYPORT_ISSUER", "sallyport.yaml", ".env", "generated"
}

// Redacted lists every key with its value and where that came from, fit for
// `doctor` and a bug report.
func (c *Config) Redacted() []Setting {
	return slices.Clone(c.settings)
}

// Format keeps keys and passwords out of whatever prints a configuration.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, "app.Config(redacted)")
}

// LogValue keeps keys and passwords out of logs.
func (c Config) LogValue() slog.Value {
	return slog.StringValue("redacted")
}

// listed is the line of a value in [Config.Redacted].
func (s setting) listed(v value) Setting {
	switch {
	case s.secret && v.text != "":
		v.text = "(set)"
	case s.holdsURL:
		v.text = redactURL(v.text)
	}
	return Setting{Key: s.key, Value: v.text, Origin: v.origin}
}

// redactURL hides what a connection URL may carry: a password in the userinfo
// or in the query.
func redactURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return "(unreadable)"
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "pass") {
			query.Set(name, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}
