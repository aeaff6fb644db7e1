package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// EnsureDevelopmentKeys fills in the keys that development may leave out: they
// are read from the data folder, and made there first when it has none. Two
// processes that start together agree. In production it does nothing.
func (c *Config) EnsureDevelopmentKeys() error { return c.developmentKeys(keyInFile) }

// absentKeyFiles are the files of keys that development reads because they are not configured.
func (c *Config) absentKeyFiles() []string {
	var paths []string
	if c.Env == Production {
		return nil
	}
	if len(c.SecretKeys) == 0 {
		paths = append(paths, filepath.Join(c.DataDir, "secret_key"))
	}
	if len(c.EncryptionKeys) == 0 {
		paths = append(paths, filepath.Join(c.DataDir, "encryption_key"))
	}
	return paths
}

// developmentKeys fills in the keys that are not configured, from files that read reads.
func (c *Config) developmentKeys(read func(path string) ([]byte, error)) error {
	if c.Env == Production {
		return nil
	}
	for _, k := range []struct {
		key  string
		file string
		into *[][]byte
	}{
		{"SECRET_KEY", "secret_key", &c.SecretKeys},
		{"ENCRYPTION_KEY", "encryption_key", &c.EncryptionKeys},
	} {
		if len(*k.into) > 0 {
			continue
		}
		path := filepath.Join(c.DataDir, k.file)
		key, err := read(path)
		if err != nil {
			return fmt.Errorf("development %s: %w", k.key, err)
		}
		*k.into = [][]byte{key}
		c.noteGenerated(k.key, path)
	}
	if len(c.CAEncryptionKeys) == 0 {
		c.CAEncryptionKeys = c.EncryptionKeys
	}
	return nil
}

func (c *Config) noteGenerated(key, path string) {
	for i := range c.settings {
		if c.settings[i].Key == key {
			c.settings[i].Value, c.settings[i].Origin = "(set)", "generated into "+path
		}
	}
}

// keyInFile reads the key at path, making it first if there is none.
func keyInFile(path string) ([]byte, error) {
	key, err := readKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := writeKeyOnce(path); err != nil {
		return nil, err
	}
	return readKeyFile(path)
}

// writeKeyOnce gives path a complete key under its name or leaves the one that
// is there: the link fails if another process was first, and nobody ever sees
// half a file.
func writeKeyOnce(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	key := make([]byte, minKeyBytes)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 %s", path, path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(strings.TrimSpace(string(content)))
	if err != nil {
		return nil, fmt.Errorf("%s %w; remove it to have a new one made", path, err)
	}
	return key, nil
}
