package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	maxFileLines     = 500
	maxFunctionLines = 80
)

// file is one Go file, as far as these tests look at it.
type file struct {
	name    string // slash-separated, from the module's root
	pkg     string // its folder, the same way
	test    bool
	imports []string
	lines   int
	tree    *ast.File
	set     *token.FileSet
}

// files reads every Go file of the module, whatever its build tags.
func files(t *testing.T) []file {
	t.Helper()
	root := os.DirFS("../..")
	var out []file
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := read(root, name)
		out = append(out, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no Go file found: is this test still two folders below the root?")
	}
	return out
}

// skipFolder leaves out what the go command leaves out: hidden folders,
// testdata, and modules of their own.
func skipFolder(root fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func read(root fs.FS, name string) (file, error) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, content, parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(content, []byte("\n")), tree: tree, set: set}
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", name, err)
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// matches reports whether a pattern of the table names a package.
func matches(pattern, pkg string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	}
	return pkg == pattern
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// refusal returns why the table does not allow one import of one file; "" if it does. Tests and their harness may build
// the whole product and look at it with any library, but fosite stays in provider.
func refusal(pkg string, test bool, imported string) string {
	for _, l := range libraries() {
		free := test || pkg == "internal/harness"
		binding := !free || l.path == "github.com/ory/"
		if binding && strings.HasPrefix(imported, l.path) && !slices.Contains(l.packages, pkg) {
			return fmt.Sprintf("only %s may import %s", strings.Join(l.packages, ", "), imported)
		}
	}
	if !test && slices.Contains(never()[pkg], imported) {
		return fmt.Sprintf("%s must do without %s", pkg, imported)
	}
	ours, isOurs := strings.CutPrefix(imported, module)
	if !isOurs || test || ours == pkg {
		return ""
	}
	if allowed, limited := onlyFrom()[ours]; limited && !slices.Contains(allowed, pkg) {
		return fmt.Sprintf("%s may not import %s", pkg, ours)
	}
	for _, r := range rules() {
		if !matches(r.pkg, pkg) {
			continue
		}
		if matchesAny(r.ours, ours) {
			return ""
		}
		return fmt.Sprintf("%s may not import %s", pkg, ours)
	}
	return ""
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, f := range files(t) {
		if !slices.ContainsFunc(rules(), func(r rule) bool { return matches(r.pkg, f.pkg) }) {
			t.Errorf("%s: package %s has no row in the import table", f.name, f.pkg)
		}
		for _, imported := range f.imports {
			if why := refusal(f.pkg, f.test, imported); why != "" {
				t.Errorf("%s: %s", f.name, why)
			}
		}
	}
}

// The table would be worth nothing if it let these through.
func TestTheTableRefusesWhatItShould(t *testing.T) {
	for _, tc := range []struct {
		pkg      string
		test     bool
		imported string
		want     bool
	}{
		{"provider", false, "github.com/ory/fosite", true},
		{"storage", false, "github.com/ory/fosite", false},
		{"storage", true, "github.com/ory/fosite/storage", false},
		{"provider", false, module + "consent", false},
		{"consent/login", false, module + "provider", false},
		{"consent/login", false, module + "identity/factor", true},
		{"api", false, module + "admin", false},
		{"admin", false, module + "storage", true},
		{"identity", false, "database/sql", true},
		{"identity", false, "github.com/jmoiron/sqlx", false},
		{"storage", true, module + "internal/harness", true},
		{"internal/harness", false, "github.com/lib/pq", true},
		{"internal/harness", false, "github.com/ory/fosite", false},
		{"internal/app", false, module + "internal/harness", false},
		{"provider", false, module + "internal/app", false},
		{"cmd/sallyport", false, module + "internal/app", true},
		{"internal/secret", false, module + "storage", false},
		{"internal/samplerp", false, module + "internal/web", false},
		{"provider", false, "golang.org/x/crypto/argon2", false},
		{"internal/upstream", false, "github.com/crewjam/saml", true},
		{"internal/upstream", false, module + "internal/fetch", true},
		{"internal/upstream", false, module + "templates", false},
		{"consent/login", false, "github.com/coreos/go-oidc/v3/oidc", false},
		{"internal/signin", false, "net/http", false},
		{"internal/signin", true, "net/http", true},
		{"internal/oauth", false, module + "storage", false},
	} {
		if got := refusal(tc.pkg, tc.test, tc.imported) == ""; got != tc.want {
			t.Errorf("%s (test %v) imports %s: got allowed %v, want %v", tc.pkg, tc.test, tc.imported, got, tc.want)
		}
	}
}

// A longer file has two subjects. Long functions are only listed: a table in a function is longer than it is hard.
func TestFilesHaveOneSubject(t *testing.T) {
	for _, f := range files(t) {
		if f.test {
			continue
		}
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, want at most %d: split it by subject", f.name, f.lines, maxFileLines)
		}
		for _, decl := range f.tree.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
				t.Logf("%s: %s has %d lines", f.name, fn.Name.Name, n)
			}
		}
	}
}

// What runs before main cannot be configured, tested or seen in the wiring.
func TestNothingRunsBeforeMain(t *testing.T) {
	for _, f := range files(t) {
		for _, decl := range f.tree.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function", f.name)
			}
		}
	}
}

// The package comment is where a reader starts.
func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range files(t) {
		if !f.test {
			documented[f.pkg] = documented[f.pkg] || f.tree.Doc != nil
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", filepath.ToSlash(pkg))
		}
	}
}
