package seed

import (
	"reflect"
	"testing"
)

// Batch is for tests of several batches.
const Batch = seedBatch

func TestBobHasEveryStandardClaim(t *testing.T) {
	p := bobsProfile()
	for _, v := range []reflect.Value{reflect.ValueOf(p), reflect.ValueOf(*p.Address)} {
		for n := range v.NumField() {
			if v.Field(n).IsZero() {
				t.Errorf("%s is empty", v.Type().Field(n).Name)
			}
		}
	}
}
