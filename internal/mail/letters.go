package mail

import "github.com/sallyport-id/sallyport/templates"

// The mails there are, for packages that write them and see no templates.
type (
	Letter               = templates.Mail
	Origin               = templates.Origin
	VerifyEmail          = templates.VerifyEmail
	CompleteRegistration = templates.CompleteRegistration
	AlreadyRegistered    = templates.AlreadyRegistered
	PasswordReset        = templates.PasswordReset
	PasswordChanged      = templates.PasswordChanged
	FactorAdded          = templates.FactorAdded
	FactorRemoved        = templates.FactorRemoved
	RecoveryCodeUsed     = templates.RecoveryCodeUsed
	NewDevice            = templates.NewDevice
	SecondStepMissed     = templates.SecondStepMissed
	MFADeadline          = templates.MFADeadline
	Invitation           = templates.Invitation
	AccountDeleted       = templates.AccountGone
	EmailChanged         = templates.EmailChanged
)
