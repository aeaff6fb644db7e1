package identity

import (
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/storage"
)

// demand is what a requirement asks for from its deadline on: one of oneOf.
type demand struct {
	*storage.Requirement
	oneOf []string
}

// demands are what requirements come down to now. While the grace of a policy runs,
// the one before it goes on, and whoever meets the new one already need not meet it.
func demands(all []storage.Requirement, now time.Time) []demand {
	var out []demand
	for n := range all {
		r := &all[n]
		if r.Policy.Require == "" {
			continue
		}
		if e := r.Policy.Earlier; e != nil && now.Before(r.Policy.Settled()) {
			before := &storage.Requirement{Policy: *e, Organization: r.Organization, From: r.From}
			out = append(out, demand{before, []string{e.Require, r.Policy.Require}})
		}
		out = append(out, demand{r, []string{r.Policy.Require}})
	}
	return out
}

func (d demand) over(now time.Time) bool { return !now.Before(d.Deadline()) }

// meets reports whether somebody with these factors has what is asked for.
func (d demand) meets(factors []string) bool {
	return slices.ContainsFunc(d.oneOf, func(r string) bool { return meets(factors, r) })
}

// enrolable are the kinds of which one is to be enrolled.
func (d demand) enrolable() []string {
	var kinds []string
	for _, require := range d.oneOf {
		kinds = append(kinds, accepted(require)...)
	}
	return slices.DeleteFunc(inOrder(kinds), func(k string) bool { return k == FactorRecovery })
}

// inOrder are those kinds, each once, in the order to offer them; nil for none.
func inOrder(kinds []string) []string {
	var out []string
	for _, k := range accepted(storage.RequireAny) {
		if slices.Contains(kinds, k) {
			out = append(out, k)
		}
	}
	return out
}

// Lacks reports whether somebody with these factors has none that a requirement asks
// for whose deadline is over.
func Lacks(factors []string, requirements []storage.Requirement, now time.Time) bool {
	return slices.ContainsFunc(demands(requirements, now), func(d demand) bool { return d.over(now) && !d.meets(factors) })
}

// Kept are the sets of kinds of which people with these requirements must keep one
// each, their deadline over or not.
func Kept(requirements []storage.Requirement, now time.Time) [][]string {
	var sets [][]string
	for _, d := range demands(requirements, now) {
		sets = append(sets, d.enrolable())
	}
	return sets
}
