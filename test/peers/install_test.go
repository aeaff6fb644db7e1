package peers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// install copies a peer's folder to the user's cache folder and runs the commands there that fetch and build what it needs.
// The copy is named for its content and the commands, so that a peer whose files have not changed is installed once. The copy is returned.
func install(t *testing.T, folder string, commands ...[]string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "sallyport-peers", filepath.Base(folder)+"-"+digest(t, folder, commands))
	ready := filepath.Join(dir, ".ready")
	if _, err := os.Stat(ready); err == nil {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	for _, words := range commands {
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "PIP_DISABLE_PIP_VERSION_CHECK=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", words, err, out)
		}
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// digest is short for a folder's names and contents, and for what is done with them.
func digest(t *testing.T, folder string, commands [][]string) string {
	t.Helper()
	sum := sha256.New()
	fmt.Fprintln(sum, commands)
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		sum.Write([]byte(path + "\x00"))
		sum.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// python installs a folder's requirements.txt into a virtual environment and returns the copy.
func python(t *testing.T, folder string) string {
	t.Helper()
	return install(t, folder, []string{"python3", "-m", "venv", "venv"},
		[]string{"venv/bin/pip", "install", "--quiet", "--no-deps", "-r", "requirements.txt"})
}

// npm installs what a folder's npm-shrinkwrap.json pins and returns the copy. The name keeps it out of the gate, which
// installs every package-lock.json.
func npm(t *testing.T, folder string) string {
	t.Helper()
	return install(t, folder, []string{"npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"})
}

// maven builds a folder's pom.xml and returns the copy.
func maven(t *testing.T, folder string, flags ...string) string {
	t.Helper()
	return install(t, folder, append([]string{"mvn", "--batch-mode", "--quiet", "package"}, flags...))
}
