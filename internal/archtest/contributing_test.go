package archtest

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// namedPath is a path of this repository in CONTRIBUTING.md: in backquotes, `storage/store.go`, or at the beginning of a
// line of the tree. A name without a slash may be anything, and text with spaces is a command.
var namedPath = regexp.MustCompile("(?m)`([a-z.][a-zA-Z0-9_.<>-]*(?:/[a-zA-Z0-9_.<>-]+)+)/?`|^    ([a-z]+/[a-z/]*) ")

// A contributor follows the table of CONTRIBUTING.md, so the paths in it must be those of today.
func TestContributingNamesPathsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	found := namedPath.FindAllStringSubmatch(string(text), -1)
	if len(found) < 20 {
		t.Errorf("CONTRIBUTING.md names %d paths: does this test still find them?", len(found))
	}
	for _, match := range found {
		if name := match[1] + match[2]; !isThere(strings.TrimSuffix(name, "/")) {
			t.Errorf("CONTRIBUTING.md names %s, which does not exist", name)
		}
	}
}

// isThere reports whether a path exists, or its folder where the name is to be chosen: x.go, grant_x.go, <noun>.go. A
// package that the import table expects counts too.
func isThere(name string) bool {
	base := path.Base(name)
	if strings.Contains(base, "<") || strings.HasPrefix(base, "x.") || strings.Contains(base, "_x.") {
		name = path.Dir(name)
	}
	if slices.ContainsFunc(rules(), func(r rule) bool { return r.pkg == name }) {
		return true
	}
	_, err := os.Stat(path.Join("../..", name))
	return err == nil
}

func TestAPathThatIsGoneIsNoticed(t *testing.T) {
	for name, want := range map[string]bool{
		"storage/store.go": true, "storage/gone.go": false, "provider/grant_x.go": true, "gone/x.go": false,
		"identity/<noun>.go": true, "internal/upstream": true, "docs/api.md": true, ".ci/run": true,
	} {
		if got := isThere(name); got != want {
			t.Errorf("isThere(%q) = %v, want %v", name, got, want)
		}
	}
}
