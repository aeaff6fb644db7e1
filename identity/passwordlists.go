package identity

import "github.com/trustelem/zxcvbn/frequency"

// By now zxcvbn has made dictionaries of its lists, and reads them no more: they
// are two MiB that every process would keep.
func init() { clear(frequency.FrequencyLists) }
