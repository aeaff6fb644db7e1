package page

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// RoleNames are the roles in an organization in words.
var RoleNames = map[string]string{
	storage.RoleOwner: "Owner", storage.RoleAdmin: "Admin", storage.RoleMember: "Member", storage.RoleGuest: "Guest",
}

// FieldTexts returns what is wrong with each field of a form, in sentences. A sentence begins with the field's noun, or
// with "This" for a field without one.
func FieldTexts(faults identity.FieldErrors, nouns map[string]string) map[string]string {
	texts := make(map[string]string, len(faults))
	for _, f := range faults {
		texts[f.Field] = strings.TrimSpace(texts[f.Field] + " " + sentence(cmp.Or(nouns[f.Field], "This"), f))
	}
	return texts
}

func sentence(subject string, f identity.FieldError) string {
	text := subject + " " + f.Problem + "."
	if f.Remedy != "" {
		text += " " + Capital(f.Remedy) + "."
	}
	return text
}

// Capital returns s with a capital first letter.
func Capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// maxTyped is how many bytes of a field are shown again; an address has at most 254.
const maxTyped = 320

// Shorten returns what a form shows again of a field that may hold megabytes.
func Shorten(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTyped)], "") }

// Wait returns how long the user must wait, in words, and says it in the header Retry-After too; "" for an error that
// waiting does not help against.
func Wait(w http.ResponseWriter, err error) string {
	var after time.Duration
	if blocked, ok := errors.AsType[*limit.Blocked](err); ok {
		after = blocked.RetryAfter
	} else if mails, ok := errors.AsType[*identity.TooManyMails](err); ok {
		after = mails.RetryAfter
	} else {
		return ""
	}
	web.SetRetryAfter(w.Header(), after)
	return web.Wait(after)
}

// Scopes returns what scopes mean: the sentence of one of ours is in templates, that of another is declared by its
// resource.
func Scopes(names []string, resources []storage.Resource) []templates.Scope {
	scopes := make([]templates.Scope, len(names))
	for i, name := range names {
		scopes[i].Name = name
		if _, ours := templates.ScopeSentence(name); ours {
			continue
		}
		for _, resource := range resources {
			scopes[i].Sentence = cmp.Or(scopes[i].Sentence, resource.Scopes[name])
		}
	}
	return scopes
}
