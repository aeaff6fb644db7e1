package api

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/web"
)

// How many items a list answers with.
const (
	usualPage = 50 // if nobody says
	maxPage   = 200
)

// page is the part of a list that a call asks for.
type page struct {
	after string // where the page before ended; "" at the start
	limit int
	next  func(position string) string // the cursor for what comes after
}

// page reads limit and after. A cursor is good for the list that gave it out and
// for its caller alone, so that nobody learns from one, or by making one, what
// another list holds.
func (a *API) page(c *call) (page, error) {
	p := page{limit: usualPage}
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

// id is after as an id, start at the start.
func (p page) id(start uuid.UUID) uuid.UUID {
	if id, err := uuid.Parse(p.after); err == nil {
		return id
	}
	return start
}

// fetch is how many to look for: one more tells whether there is another page.
func (p page) fetch() int { return p.limit + 1 }

// pageMeta is meta of a list.
type pageMeta struct {
	Limit int    `json:"limit"`
	Next  string `json:"next,omitempty"` // for after; not there on the last page
}

// listed answers with a page of found, which are up to p.fetch() of what comes after.
func listed[T, V any](p page, message string, found []T, position func(*T) string, view func(*T) V) answer {
	meta := pageMeta{Limit: p.limit}
	if len(found) > p.limit {
		found = found[:p.limit]
		meta.Next = p.next(position(&found[p.limit-1]))
	}
	list := make([]V, 0, len(found))
	for i := range found {
		list = append(list, view(&found[i]))
	}
	return answer{message: message, data: list, meta: meta}
}

// inPages pages through what handle answers with whole, a []V: a list that a small
// limit of the product bounds. The newest are first.
func inPages[V any](id func(*V) uuid.UUID, handle func(*API, *call) (answer, error)) func(*API, *call) (answer, error) {
	position := func(v *V) string { return id(v).String() }
	return func(a *API, c *call) (answer, error) {
		p, err := a.page(c)
		if err != nil {
			return answer{}, err
		}
		out, err := handle(a, c)
		if err != nil {
			return answer{}, err
		}
		last := p.id(uuid.Max).String()
		rest := slices.DeleteFunc(out.data.([]V), func(v V) bool { return position(&v) >= last })
		slices.SortFunc(rest, func(v, w V) int {
			i, j := id(&v), id(&w)
			return slices.Compare(j[:], i[:])
		})
		return listed(p, out.message, rest, position, func(v *V) V { return *v }), nil
	}
}
