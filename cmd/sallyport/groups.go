package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// refuseUnknownCommands makes groups of commands, such as `clients`, refuse a name they do not have. cobra alone prints
// the group's help and exits with 0, which a script takes for success.
func (p *program) refuseUnknownCommands(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	explainCompletion(root)
	root.SetHelpCommand(helpCommand(root))
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.HasSubCommands() {
			c.Args = func(c *cobra.Command, args []string) error { return unknownCommand(c, args) }
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	// `clients plna --help` asks for the help of a command that does not exist.
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if c.HasSubCommands() {
			if p.mistyped = unknownCommand(c, c.Flags().Args()); p.mistyped != nil {
				return
			}
		}
		help(c, args)
	})
}

// explainCompletion adds examples to cobra's own commands.
func explainCompletion(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Example = examples("sallyport completion bash", "sallyport completion zsh")
		for _, shell := range c.Commands() {
			shell.Example = examples("sallyport completion " + shell.Name())
		}
	}
}

// helpCommand is `sallyport help COMMAND…`.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command", Example: examples("sallyport help clients plan"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if err := unknownCommand(c, rest); err != nil {
				return err
			}
			return c.Help()
		},
	}
}

// unknownCommand returns a failure if args name a command that the group c does not have.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	f := &failure{what: fmt.Sprintf("%s has no command %q", c.CommandPath(), printable(args[0])),
		next: "See: " + c.CommandPath() + " --help", code: 2}
	if near := nearestCommand(c, args[0]); near != "" {
		f.next = fmt.Sprintf("Did you mean this?  %s %s", c.CommandPath(), near)
	}
	return f
}

// nearestCommand is the name in c that was most likely meant by typed: one that begins with it, or the one with the
// fewest edits, at most half of its length. It is empty if there is none.
func nearestCommand(c *cobra.Command, typed string) string {
	for edits := 1; edits <= max(2, len(typed)/2); edits++ {
		c.SuggestionsMinimumDistance = edits
		if near := c.SuggestionsFor(typed); len(near) > 0 {
			return near[0]
		}
	}
	return ""
}
