package app

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const (
	envPrefix = "SALLYPORT_"
	// testPrefix names variables of the test suite, which starts true servers
	// in its own environment.
	testPrefix = envPrefix + "TEST_"
	// flat is koanf's delimiter where names are never nested.
	flat = "\x00"
	// maxSecretFile bounds a …_FILE, so that a wrong path cannot fill memory.
	maxSecretFile = 64 << 10
)

// value is the text of one key and where it was found.
type value struct {
	text   string
	origin string
}

// merge lays sources over each other; later ones win.
func merge(sources ...map[string]value) map[string]value {
	out := map[string]value{}
	for _, s := range sources {
		maps.Copy(out, s)
	}
	return out
}

// name is one spelling under which a source may give a key.
type name struct {
	key    string
	isFile bool
}

// envNames maps every accepted environment variable to its key.
func envNames() map[string]name {
	out := map[string]name{}
	for _, s := range settings(&Config{}) {
		for _, n := range append([]string{envPrefix + s.key}, s.aliases...) {
			out[n] = name{key: s.key}
			out[n+"_FILE"] = name{key: s.key, isFile: true}
		}
	}
	return out
}

// plainNames maps the spellings of sallyport.yaml and flags.
func plainNames() map[string]name {
	out := map[string]name{}
	for _, s := range settings(&Config{}) {
		out[s.key] = name{key: s.key}
		out[s.key+"_FILE"] = name{key: s.key, isFile: true}
	}
	return out
}

func (l *loader) flagValues(flags map[string]string) map[string]value {
	known := plainNames()
	given := map[string]string{}
	for flag, text := range flags {
		if _, ok := known[flag]; !ok {
			l.fault(flag, "is not a key that a flag can set", "")
			continue
		}
		given[flag] = text
	}
	return l.resolve(given, known, func(n string) string {
		return "flag --" + strings.ReplaceAll(strings.ToLower(n), "_", "-")
	})
}

func (l *loader) environValues(environ []string) map[string]value {
	k := koanf.New(flat)
	// An environment is a list of strings; reading it cannot fail.
	_ = k.Load(env.Provider(flat, env.Opt{EnvironFunc: func() []string { return environ }}), nil)
	given := map[string]string{}
	for n, text := range k.Raw() {
		given[n] = fmt.Sprint(text)
	}
	l.environ = given
	return l.environment(given, func(n string) string { return "environment " + n })
}

// environment takes what a set of environment variables says to this program:
// its own prefix, where everything must be known, and the aliases.
func (l *loader) environment(given map[string]string, origin func(string) string) map[string]value {
	known := envNames()
	ours := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(given)) {
		if _, ok := known[n]; ok {
			ours[n] = given[n]
			continue
		}
		if strings.HasPrefix(n, envPrefix) && !strings.HasPrefix(n, testPrefix) {
			l.unknown(n, strings.TrimPrefix(n, envPrefix), envPrefix)
		}
		if given[n] != "" && isReplacedName(n) {
			l.ignored[n] = true
		}
	}
	return l.resolve(ours, known, origin)
}

func (l *loader) fileValues(path string) map[string]value {
	required := path != ""
	if !required {
		path = filepath.Join(l.dir, "sallyport.yaml")
	}
	label := filepath.Base(path)
	k := koanf.New(flat)
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !required {
			return nil
		}
		l.fault(label, fmt.Sprintf("cannot be read: %v", err), "issuer: https://id.example.com")
		return nil
	}
	known := plainNames()
	given := map[string]string{}
	raw := k.Raw()
	for _, n := range slices.Sorted(maps.Keys(raw)) {
		upper := strings.ToUpper(n)
		text, err := yamlText(raw[n])
		switch {
		case n == "connections":
			l.fileConnections(raw[n])
		case n != strings.ToLower(n):
			l.fault(n, "in "+label+" is written in lower case there", strings.ToLower(n)+": …")
		case known[upper].key == "":
			l.unknown(n+" (in "+label+")", upper, "")
		case err != nil:
			l.fault(upper, "in "+label+" "+err.Error(), n+": "+settingFor(known[upper].key).example)
		default:
			given[upper] = text
		}
	}
	return l.resolve(given, known, func(string) string { return label })
}

// yamlText turns a scalar or a list of scalars into the text the environment
// would hold.
func yamlText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case map[string]any:
		return "", errors.New("must be one value or a list, not a block of keys")
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			text, err := yamlText(item)
			if err != nil {
				return "", err
			}
			parts[i] = text
		}
		return strings.Join(parts, ","), nil
	default:
		return fmt.Sprint(v), nil
	}
}

// dotenvValues reads .env as other tools do: NAME=value lines, an optional
// "export", # comments, single or double quotes, nothing expanded.
func (l *loader) dotenvValues() map[string]value {
	f, err := os.Open(filepath.Join(l.dir, ".env"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		l.fault(".env", fmt.Sprintf("cannot be read: %v", err), "")
		return nil
	}
	defer f.Close()
	given := map[string]string{}
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		n, text, skip, ok := dotenvLine(lines.Text())
		if !ok {
			l.fault(fmt.Sprintf(".env line %d", number), "is not NAME=value", "SALLYPORT_LOG_LEVEL=debug")
		}
		if ok && !skip {
			given[n] = text
		}
	}
	if err := lines.Err(); err != nil {
		l.fault(".env", fmt.Sprintf("cannot be read: %v", err), "")
	}
	return l.environment(given, func(string) string { return ".env" })
}

func dotenvLine(line string) (name, text string, skip, ok bool) {
	line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
	if line == "" || line[0] == '#' {
		return "", "", true, true
	}
	name, text, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
	name, text = strings.TrimSpace(name), strings.TrimSpace(text)
	if !found || name == "" || strings.ContainsAny(name, " \t\"'") {
		return "", "", false, false
	}
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		inside, rest, closed := strings.Cut(text[1:], text[:1])
		rest = strings.TrimSpace(rest)
		return name, inside, false, closed && (rest == "" || rest[0] == '#')
	}
	if i := strings.Index(text, " #"); i >= 0 {
		text = strings.TrimSpace(text[:i])
	}
	return name, text, false, true
}

// resolve turns the names of one source into keys. Empty text counts as not
// given, because compose files pass unset variables on as empty ones.
func (l *loader) resolve(given map[string]string, known map[string]name, origin func(string) string) map[string]value {
	out := map[string]value{}
	from := map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(given)) {
		text, ok := l.textOf(n, given, known)
		if !ok {
			continue
		}
		key := known[n].key
		if n == "PORT" {
			text = listenOfPort(text, out[key].text, given[envPrefix+key])
		}
		if before, ok := out[key]; ok && before.text != text {
			l.fault(key, fmt.Sprintf("is given differently by %s and %s", from[key], n), "keep one of the two")
			continue
		}
		out[key] = value{text: text, origin: origin(n)}
		from[key] = n
	}
	return out
}

// textOf is the text behind one name: itself, or the content of the file it
// names.
func (l *loader) textOf(n string, given map[string]string, known map[string]name) (string, bool) {
	text := given[n]
	if text == "" {
		return "", false
	}
	if !known[n].isFile {
		return text, true
	}
	if given[strings.TrimSuffix(n, "_FILE")] != "" {
		l.fault(known[n].key, "is given both directly and by "+n, "keep one of the two")
		return "", false
	}
	content, err := readSecretFile(text)
	if err != nil {
		l.fault(known[n].key, fmt.Sprintf("cannot be read through %s: %v", n, err), n+"=/run/secrets/"+strings.ToLower(known[n].key))
		return "", false
	}
	return content, true
}

func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// listenOfPort reads PORT, which hosting platforms set: the port alone, on
// loopback unless LISTEN beside it names the same port.
func listenOfPort(port string, listens ...string) string {
	for _, listen := range listens {
		if _, p, err := net.SplitHostPort(listen); err == nil && p == port {
			return listen
		}
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// unknown reports a name that is no key, with the key it resembles most.
func (l *loader) unknown(written, key, prefix string) {
	var keys []string
	for _, s := range settings(&Config{}) {
		keys = append(keys, s.key)
	}
	best := nearest(key, keys, len(key)/2)
	problem := "is not a configuration key"
	if best != "" {
		l.fault(written, problem+"; did you mean "+best+"?", prefix+settingFor(best).sampleText())
		return
	}
	l.fault(written, problem, "every key is described in .env.example")
}

// nearest is the first of the names with the fewest edits from name, "" if all need more than most.
func nearest(name string, names []string, most int) string {
	best := ""
	for _, n := range names {
		if d := editDistance(name, n); d <= most {
			best, most = n, d-1
		}
	}
	return best
}

// editDistance is Levenshtein's, for names of a few dozen bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
