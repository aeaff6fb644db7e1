package main

import (
	"encoding/json"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// A report of a fault begins with what was built. Whichever way a binary was built, it knows as much as that way can know.
func TestABinaryKnowsWhatItWasBuiltFrom(t *testing.T) {
	clone := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.4-0.20261130120000-0123456789ab"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-30T12:00:00Z"}}}
	for name, c := range map[string]struct {
		linked build
		info   *debug.BuildInfo
		want   string
	}{
		"a release":          {build{Version: "v1.2.3", Commit: "c0ffee", Date: "2026-11-01T00:00:00Z"}, clone, "sallyport v1.2.3 c0ffee 2026-11-01T00:00:00Z"},
		"only its version":   {build{Version: "v1.2.3"}, clone, "sallyport v1.2.3 0123456789abcdef 2026-11-30T12:00:00Z"},
		"installed":          {build{}, &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "sallyport v1.2.3"},
		"in a clone":         {build{}, clone, "sallyport v1.2.4-0.20261130120000-0123456789ab 0123456789abcdef 2026-11-30T12:00:00Z"},
		"go run":             {build{}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "sallyport devel"},
		"without build info": {build{}, nil, "sallyport devel"},
	} {
		if got := c.linked.withBuildInfo(c.info).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	f := emptyFolder(t)
	out, _ := f.want(0, "", "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.Version == "" || b.Version == "(devel)" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("got %s, %v", out, err)
	}
}

// The linker ignores a name that it does not find, so a build would lose its version without a word.
func TestEveryBuildSetsVersionCommitAndDate(t *testing.T) {
	source, err := os.ReadFile("version.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), "\nvar version, commit, date string\n") {
		t.Error("version.go does not declare what is set")
	}
	for _, file := range []string{"../../Dockerfile", "../../Makefile"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var set []string
		for _, m := range regexp.MustCompile(`-X main\.([a-z]+)=\$[({][A-Z]+[)}]`).FindAllStringSubmatch(string(text), -1) {
			set = append(set, m[1])
		}
		if !slices.Equal(set, []string{"version", "commit", "date"}) {
			t.Errorf("%s sets %v", file, set)
		}
	}
}
