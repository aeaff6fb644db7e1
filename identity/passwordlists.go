package identity

import (
	"sync"

	"github.com/trustelem/zxcvbn/frequency"
)

// forgetLists drops the lists of zxcvbn. It made dictionaries of them when the
// program started, and reads them no more: they are two MiB of every process.
var forgetLists = sync.OnceFunc(func() { clear(frequency.FrequencyLists) })
