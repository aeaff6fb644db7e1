package api

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/web"
)

// The number of items on a page.
const (
	defaultPage = 50 // without the parameter limit
	maxPage     = 200
)

// page is the part of a list that a call asks for.
type page struct {
	after string // where the page before ended; "" at the start
	limit int
	next  func(position string) string // the cursor for what comes after
}

// page reads limit and after. A cursor works only for the list and the caller that it was made for, so that nothing
// can be learned about another list from it, or by making one.
func (a *API) page(c *call) (page, error) {
	p := page{limit: defaultPage}
	query, err := web.Query(c.r)
	if err != nil {
		return p, err
	}
	if query.Has("limit") {
		if p.limit, err = strconv.Atoi(query.Get("limit")); err != nil || p.limit < 1 || p.limit > maxPage {
			return p, invalid("limit", "is not from 1 to "+strconv.Itoa(maxPage))
		}
	}
	bound := [][]byte{[]byte(c.r.URL.Path), c.current.User.ID[:], nil}
	if c.personal != nil {
		bound[2] = c.personal.Token.ID[:]
	}
	p.next = func(position string) string {
		mac := a.cursors.MAC(append(bound, []byte(position))...)
		return base64.RawURLEncoding.EncodeToString(append(mac[:], position...))
	}
	if query.Has("after") {
		raw, err := base64.RawURLEncoding.DecodeString(query.Get("after"))
		if err != nil || len(raw) <= sha256.Size || !a.cursors.Verify(raw[:sha256.Size], append(bound, raw[sha256.Size:])...) {
			return p, invalid("after", "is not what meta.next of this list said")
		}
		p.after = string(raw[sha256.Size:])
	}
	return p, nil
}

// id returns after as an id; start on the first page.
func (p page) id(start uuid.UUID) uuid.UUID {
	if id, err := uuid.Parse(p.after); err == nil {
		return id
	}
	return start
}

// fetchLimit is one more than a page holds: the extra item shows that there is a next page.
func (p page) fetchLimit() int { return p.limit + 1 }

// pageMeta is meta in the envelope of a list.
type pageMeta struct {
	Limit int    `json:"limit"`
	Next  string `json:"next,omitempty"` // the value for after; absent on the last page
}

// listResponse responds with one page. found are up to p.fetchLimit() items from the page's start.
func listResponse[T, V any](p page, message string, found []T, position func(*T) string, view func(*T) V) response {
	meta := pageMeta{Limit: p.limit}
	if len(found) > p.limit {
		found = found[:p.limit]
		meta.Next = p.next(position(&found[p.limit-1]))
	}
	list := make([]V, 0, len(found))
	for i := range found {
		list = append(list, view(&found[i]))
	}
	return response{message: message, data: list, meta: meta}
}

// inPages splits the response of handle, a []V that the product keeps short, into pages, the newest items first.
func inPages[V any](id func(*V) uuid.UUID, handle handler) handler {
	position := func(v *V) string { return id(v).String() }
	return func(a *API, c *call) (response, error) {
		p, err := a.page(c)
		if err != nil {
			return response{}, err
		}
		out, err := handle(a, c)
		if err != nil {
			return response{}, err
		}
		last := p.id(uuid.Max).String()
		rest := slices.DeleteFunc(out.data.([]V), func(v V) bool { return position(&v) >= last })
		slices.SortFunc(rest, func(v, w V) int {
			i, j := id(&v), id(&w)
			return slices.Compare(j[:], i[:])
		})
		return listResponse(p, out.message, rest, position, func(v *V) V { return *v }), nil
	}
}
