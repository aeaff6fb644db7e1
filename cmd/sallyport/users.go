package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/spf13/cobra"
)

func (p *program) users() *cobra.Command {
	cmd := &cobra.Command{Use: "users", Short: "Look after people",
		Example: examples("sallyport users create -e ada@example.com --super-admin", "sallyport users list")}
	cmd.AddCommand(p.usersCreate(), p.usersList(), p.usersResetPassword(),
		p.usersRole("add-role", "Give a person a platform role", "superadmin may do everything, admin reads everything.",
			(*identity.People).AddPlatformRole,
			map[bool]string{true: "%s now has the role %s.\n", false: "%s has the role %s already.\n"}),
		p.usersRole("remove-role", "Take a platform role from a person", "", (*identity.People).RemovePlatformRole,
			map[bool]string{true: "%s no longer has the role %s.\n", false: "%s does not have the role %s.\n"}),
		p.usersSetEmail(), p.usersDisable(), p.usersImport())
	return cmd
}

// emailFlag adds the flag by which commands name a person.
func emailFlag(cmd *cobra.Command, email *string) *cobra.Command {
	cmd.Flags().StringVarP(email, "email", "e", "", "the person's `ADDRESS`")
	return cmd
}

// person reads the person whose address is in email; it asks if -e is missing.
func (p *program) person(ctx context.Context, a *app.App, email *string) (*storage.User, error) {
	if err := p.askIfMissing(email, "Email", "-e ADDRESS"); err != nil {
		return nil, err
	}
	u, err := a.Identity.People.ByEmail(ctx, identity.Operator(), *email)
	return u, notFound(err, fmt.Sprintf("person with the address %s", printable(*email)), "See who there is: sallyport users list")
}

// onPerson runs act on the person whose address is in email.
func (p *program) onPerson(email *string, act func(context.Context, *app.App, *storage.User) error) action {
	return func(ctx context.Context, a *app.App, _ []string) error {
		u, err := p.person(ctx, a, email)
		if err != nil {
			return err
		}
		return act(ctx, a, u)
	}
}

// askIfMissing asks for a value that was not given. Without a terminal it says how to give it.
func (p *program) askIfMissing(value *string, question, flag string) error {
	if *value != "" {
		return nil
	}
	if !terminal(p.in) {
		return &failure{what: strings.ToLower(question) + " is missing", next: "Give it: " + flag, code: 2}
	}
	answer, err := p.ask(question)
	if *value = strings.TrimSpace(answer); err == nil && *value == "" {
		err = &failure{what: strings.ToLower(question) + " is missing", code: 2}
	}
	return err
}

func (p *program) usersCreate() *cobra.Command {
	var n identity.NewUser
	cmd := &cobra.Command{
		Use: "create", Short: "Create a person",
		Long: "Create a person. Their address counts as proven: you vouch for it. What is not given is asked for.",
		Example: examples("sallyport users create", "sallyport users create -e ada@example.com --super-admin",
			"pass show sallyport/ada | sallyport users create -e ada@example.com -p -"),
		Args: cobra.NoArgs,
		RunE: p.withNew(func(ctx context.Context, a *app.App, _ []string) error {
			if err := p.askIfMissing(&n.Email, "Email", "-e ADDRESS"); err != nil {
				return err
			}
			if _, err := identity.EmailKey(n.Email); err != nil {
				return err // before a password is asked for
			}
			if u, err := a.Identity.People.ByEmail(ctx, identity.Operator(), n.Email); err == nil {
				return addressTaken(u, n.Email)
			} else if !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			var err error
			n.Password, err = p.password(ctx, n.Password, func(typed string) error {
				return a.Identity.Passwords.Check(typed, n.Email, n.Profile.Name)
			})
			if err != nil {
				return err
			}
			u, err := a.Identity.People.Create(ctx, identity.Operator(), n)
			if errors.Is(err, storage.ErrExists) {
				return addressTaken(nil, n.Email)
			} else if err != nil {
				return err
			}
			return p.say("Created %s (sub %s)%s.\n", printable(u.Email), u.Sub, map[bool]string{true: ", superadmin"}[n.Superadmin])
		}),
	}
	emailFlag(cmd, &n.Email)
	passwordFlag(cmd, &n.Password)
	cmd.Flags().BoolVar(&n.Superadmin, "super-admin", false, "let them administer the installation")
	cmd.Flags().StringVar(&n.Profile.Name, "name", "", "their `NAME`")
	return cmd
}

// addressTaken says what to do about an address that has an account: that of u, if it is not nil.
func addressTaken(u *storage.User, email string) error {
	next := "See: sallyport users list; a new password: sallyport users reset-password -e " + printable(email)
	if u != nil && !u.EmailVerified() {
		next = "Nobody has proven it: strangers can have made that account. " + vouchHint
	}
	return &failure{what: fmt.Sprintf("the address %s is taken", printable(email)), next: next}
}

func passwordFlag(cmd *cobra.Command, password *string) *cobra.Command {
	cmd.Flags().StringVarP(password, "password", "p", "", "their `PASSWORD`; - reads a line of standard input")
	return cmd
}

// password is the value of -p, a line of standard input, or the answer to a question that is repeated until check
// accepts it.
func (p *program) password(ctx context.Context, given string, check func(string) error) (string, error) {
	switch given {
	case "":
		return p.askPassword(ctx, check)
	case "-":
		return p.line()
	}
	fmt.Fprintln(p.err, "Warning: a password on the command line is seen by everybody on this machine and kept in the shell's history. Use -p - or leave -p out.")
	return given, nil
}

func (p *program) usersList() *cobra.Command {
	limit := 0
	return limitFlag(p.jsonFlag(&cobra.Command{
		Use: "list", Short: "List people", Example: examples("sallyport users list", "sallyport users list --limit 0 --json"), Args: cobra.NoArgs,
		RunE: p.withReadOnly(func(ctx context.Context, a *app.App, _ []string) error {
			type row struct {
				Email    string   `json:"email"`
				Sub      string   `json:"sub"`
				Name     string   `json:"name"`
				Roles    []string `json:"platform_roles"`
				Disabled bool     `json:"disabled"`
			}
			list := p.listing("email", "name", "platform roles", "state", "sub")
			return listAll(list, limit, func(after uuid.UUID, n int) ([]storage.User, error) {
				return a.Identity.People.List(ctx, identity.Operator(), after, n)
			}, func(u storage.User) (any, []string, uuid.UUID) {
				v := row{u.Email, u.Sub.String(), u.Profile.Name, append([]string{}, u.PlatformRoles...), !u.Active()}
				state := map[bool]string{true: "disabled", false: "active"}[v.Disabled]
				return v, []string{v.Email, v.Name, strings.Join(v.Roles, " "), state, v.Sub}, u.ID
			})
		}),
	}), &limit)
}

func limitFlag(cmd *cobra.Command, limit *int) *cobra.Command {
	cmd.Flags().IntVar(limit, "limit", 1000, "how many at most; 0 is all")
	return cmd
}

func (p *program) usersResetPassword() *cobra.Command {
	var email, password string
	return passwordFlag(emailFlag(&cobra.Command{
		Use: "reset-password", Short: "Give a person a new password",
		Long:    "Give a person a new password. Their sessions end and what they had allowed applications is revoked.",
		Example: examples("sallyport users reset-password -e bob@example.com", "sallyport users reset-password -e bob@example.com -p - <password.txt"),
		Args:    cobra.NoArgs,
		RunE: p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
			password, err := p.password(ctx, password, func(typed string) error {
				return a.Identity.Passwords.Check(typed, u.Email, u.Profile.Name)
			})
			if err != nil {
				return err
			}
			if err := a.Identity.People.SetPassword(ctx, identity.Operator(), u.ID, password, uuid.Nil); err != nil {
				return err
			}
			if !u.EmailVerified() {
				warning := map[bool]string{true: "They cannot sign in with it: ", false: "Beware: "}[a.Identity.Registrations.ConfirmsEmail()]
				fmt.Fprintln(p.err, warning+"nobody has proven this address. "+vouchHint)
			}
			return p.say("%s has a new password; their sessions have ended.\n", printable(u.Email))
		})),
	}, &email), &password)
}

// vouchHint says what to do about an unverified address.
const vouchHint = "Its owner proves it by the link in a mail. Or vouch for it, which takes the account from whoever made it: sallyport users set-email -e ADDRESS --to ADDRESS, then sallyport users reset-password -e ADDRESS"

func (p *program) usersSetEmail() *cobra.Command {
	var email, to string
	cmd := p.yesFlag(&cobra.Command{
		Use: "set-email", Short: "Give a person another address",
		Long: "Give a person another address to sign in with. It counts as proven: you vouch for it. Their sessions end, what they had allowed applications is revoked, and a mail tells the old address.\n\n" +
			"An account whose address nobody had proven is taken from whoever made it: its password, profile and own organization go. To vouch for the address it has, give the same one again.",
		Example: examples("sallyport users set-email -e bob@example.com --to robert@example.com", "sallyport users set-email -e ops@example.com --to ops@example.com --yes"),
		Args:    cobra.NoArgs,
		RunE: p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
			if err := p.askIfMissing(&to, "New email", "--to ADDRESS"); err != nil {
				return err
			}
			question := "%s signs in as %s from now on, and their sessions end. Go on?"
			if !u.EmailVerified() {
				question = "The account of %s, whoever made it, becomes that of %s: password, profile and own organization go. Go on?"
			}
			if err := p.confirm(fmt.Sprintf(question, printable(u.Email), printable(to))); err != nil {
				return err
			}
			err := a.Identity.People.SetEmail(ctx, identity.Operator(), u.ID, to)
			if err != nil {
				return explained(err, storage.ErrExists, fmt.Sprintf("the address %s is taken", printable(to)),
					"See who has it: sallyport users list")
			}
			to = printable(strings.TrimSpace(to))
			if u.EmailVerified() {
				return p.say("%s signs in as %s now; their sessions have ended.\n", printable(u.Email), to)
			}
			return p.say("%s signs in as %s now; their sessions have ended.\nThey have no password: sallyport users reset-password -e %s\n",
				printable(u.Email), to, to)
		})),
	})
	emailFlag(cmd, &email)
	cmd.Flags().StringVar(&to, "to", "", "the new `ADDRESS`")
	return cmd
}

// setRole adds or removes a platform role.
type setRole func(p *identity.People, ctx context.Context, a identity.Actor, userID uuid.UUID, role string) (bool, error)

func (p *program) usersRole(name, short, long string, set setRole, said map[bool]string) *cobra.Command {
	var email, role string
	cmd := &cobra.Command{
		Use: name + " [ROLE]", Short: short, Long: strings.TrimSpace(short + ". " + long),
		Example: examples("sallyport users "+name+" superadmin -e ada@example.com",
			"sallyport users "+name+" -e ada@example.com -r superadmin"), Args: cobra.MaximumNArgs(1),
	}
	act := p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
		changed, err := set(a.Identity.People, ctx, identity.Operator(), u.ID, role)
		if err != nil {
			return err
		}
		return p.say(said[changed], printable(u.Email), role)
	}))
	cmd.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && role != "" && args[0] != role:
			return &failure{what: fmt.Sprintf("%q and -r %q are two roles", printable(args[0]), printable(role)),
				next: "Give one at a time.", code: 2}
		case len(args) == 1:
			role = args[0]
		case role == "":
			return &failure{what: "the role is missing",
				next: "Write: sallyport users " + name + " ROLE -e ADDRESS, with superadmin or admin for ROLE", code: 2}
		}
		return act(c, args)
	}
	emailFlag(cmd, &email)
	cmd.Flags().StringVarP(&role, "role", "r", "", "the `ROLE`: superadmin or admin")
	return cmd
}

func (p *program) usersDisable() *cobra.Command {
	var email string
	var undo bool
	cmd := &cobra.Command{
		Use: "disable", Short: "Shut a person out",
		Long:    "Shut a person out at once: their sessions end and what they had allowed applications is revoked. --undo lets them sign in again.",
		Example: examples("sallyport users disable -e bob@example.com", "sallyport users disable -e bob@example.com --undo"),
		Args:    cobra.NoArgs,
		RunE: p.with(p.onPerson(&email, func(ctx context.Context, a *app.App, u *storage.User) error {
			act, state := a.Identity.People.Disable, "disabled"
			if undo {
				act, state = a.Identity.People.Enable, "active"
			}
			changed, err := act(ctx, identity.Operator(), u.ID)
			if err != nil {
				return err
			}
			return p.say("%s is %s %s.\n", printable(u.Email), state, map[bool]string{true: "now", false: "already"}[changed])
		})),
	}
	emailFlag(cmd, &email)
	cmd.Flags().BoolVar(&undo, "undo", false, "let them sign in again")
	return cmd
}
