package provider

import (
	"slices"
	"testing"
)

// WithoutGrantType takes a row out of the table of grant types until the test ends, for
// servers that start after it.
func WithoutGrantType(t *testing.T, name string) {
	t.Helper()
	whole := grantTypes
	grantTypes = slices.DeleteFunc(slices.Clone(whole), func(g grantType) bool { return g.name == name })
	if len(grantTypes) == len(whole) {
		t.Fatalf("the table has no row %s", name)
	}
	t.Cleanup(func() { grantTypes = whole })
}
