package provider_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// CL-01: does the time to refuse a secret tell how much of it is right? Wrong
// secrets that share all but the last character with the right one are interleaved
// with ones that share none. The metric auc is the chance that a near one took longer
// than a far one: 0.5 tells nothing, outside 0.45 to 0.55 there is something to look
// at. It is reported and not asserted, for a busy machine is no proof.
//
//	go test -run '^$' -bench ClientSecret -benchtime 20000x ./provider
func BenchmarkClientSecret(b *testing.B) {
	const right = "basic-secret-of-the-client-tests"
	s := harness.Start(b, storage.SQLite, harness.Options{Clients: secretClients})
	client, err := s.App.Registry.Client(b.Context(), "basic")
	if err != nil {
		b.Fatal(err)
	}
	try := func(secret string, want bool) time.Duration {
		start := time.Now()
		ok, err := s.App.Identity.VerifyClientSecret(b.Context(), client, secret)
		took := time.Since(start)
		if err != nil || ok != want {
			b.Fatalf("%q: %v, %v; want %v", secret, ok, err, want)
		}
		return took
	}
	b.Run("right", func(b *testing.B) {
		for b.Loop() {
			try(right, true)
		}
	})
	b.Run("wrong", func(b *testing.B) {
		near, far := right[:len(right)-1]+"!", strings.Repeat("!", len(right))
		var samples []sample
		for n := 0; b.Loop(); n++ {
			secret, isNear := far, n%2 == 0
			if isNear {
				secret = near
			}
			samples = append(samples, sample{try(secret, false), isNear})
		}
		b.ReportMetric(auc(samples), "auc")
	})
}

type sample struct {
	took time.Duration
	near bool
}

// auc is the area under the ROC curve (Mann-Whitney): ties count half.
func auc(samples []sample) float64 {
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.took, b.took) })
	var near, far, won float64
	for i := 0; i < len(samples); {
		end := i
		var nearHere, farHere float64
		for ; end < len(samples) && samples[end].took == samples[i].took; end++ {
			if samples[end].near {
				nearHere++
			} else {
				farHere++
			}
		}
		won += nearHere * (far + farHere/2)
		near, far, i = near+nearHere, far+farHere, end
	}
	if near == 0 || far == 0 {
		return 0.5
	}
	return won / (near * far)
}
