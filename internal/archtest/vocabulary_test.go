package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oauth"
)

// vocabularies are the lists of internal/oauth by what they list. Of the scopes only
// those that mean nothing else are looked for.
func vocabularies() map[string][]string {
	return map[string][]string{
		"grant types":                   oauth.Names(oauth.GrantTypes()),
		"client authentication methods": oauth.AuthMethods(),
		"algorithms":                    oauth.ClientAlgs(),
		"scopes":                        {oauth.ScopeOpenID, oauth.ScopeOfflineAccess, oauth.ScopeOrgs},
		"prompts":                       {oauth.PromptConsent, oauth.PromptSelectAccount},
		"response modes":                oauth.ResponseModes(),
	}
}

// listed returns the vocabulary of which a composite literal lists two values or more as
// string literals; "" if none.
func listed(lit *ast.CompositeLit) string {
	for name, words := range vocabularies() {
		found := 0
		for _, elt := range lit.Elts {
			basic, ok := elt.(*ast.BasicLit)
			if !ok || basic.Kind != token.STRING {
				continue
			}
			if text, err := strconv.Unquote(basic.Value); err == nil && slices.Contains(words, text) {
				found++
			}
		}
		if found > 1 {
			return name
		}
	}
	return ""
}

// A second list of what the protocol knows is forgotten when the first one changes: then
// discovery promises what registration refuses. Relying parties, which the sample app and
// the harness are, have lists of their own.
func TestTheVocabularyIsWrittenOnce(t *testing.T) {
	for _, f := range files(t) {
		if f.test || f.pkg == "internal/oauth" || f.pkg == "internal/harness" || f.pkg == "internal/samplerp" ||
			strings.HasPrefix(f.pkg, "tools") {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok {
				if name := listed(lit); name != "" {
					t.Errorf("%s lists %s: take them from internal/oauth", f.set.Position(lit.Pos()), name)
				}
			}
			return true
		})
	}
}
