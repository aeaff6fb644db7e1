// Package errorsx is what fosite asks of errors.
package errorsx

// WithStack returns err: fosite calls it at every refusal, and a stack trace of
// each would cost more than it tells. The log has the cause, and the request id.
func WithStack(err error) error { return err }

// Cause returns the first error of a chain of Cause methods.
func Cause(err error) error {
	for err != nil {
		c, ok := err.(interface{ Cause() error })
		if !ok || c.Cause() == nil {
			return err
		}
		err = c.Cause()
	}
	return nil
}

// What an error can carry besides its text.
type (
	StatusCodeCarrier interface{ StatusCode() int }
	StatusCarrier     interface{ Status() string }
	RequestIDCarrier  interface{ RequestID() string }
	ReasonCarrier     interface{ Reason() string }
	DebugCarrier      interface{ Debug() string }
	DetailsCarrier    interface{ Details() map[string]any }
)
