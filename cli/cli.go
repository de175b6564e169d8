// Package cli is Weir's command line: a file for each command, each of which
// reads its flags, makes one call and prints what came of it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// ErrUsage is in the chain of every error that is about how a command was
// called, and not about what it did.
var ErrUsage = errors.New("wrong usage")

// Exit codes; stable, scripts rely on them.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

// An Env is what a command sees of the process around it. All fields are required.
type Env struct {
	Args   []string // without the program's name
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// Run runs the command that e.Args name. It returns once the command is done,
// and a command that serves is done when ctx is. What it returns is for [Exit].
func Run(ctx context.Context, e Env) error {
	root := newRoot(e)
	started := false
	everyCommand(root, func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				started = true
				return run(c, args)
			}
		}
	})
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		return usageError{err, c.CommandPath()}
	}
	return err
}

// Exit prints err for people, a line for each fault, and returns the exit code
// that goes with it.
func Exit(stderr io.Writer, err error) int {
	if err == nil {
		return exitFine
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintln(stderr, "weir:", line)
		}
	}
	if errors.Is(err, ErrUsage) {
		return exitUsage
	}
	return exitFailed
}

// A usageError is a fault in the way a command was called.
type usageError struct {
	cause   error
	command string
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v; see '%s --help'", e.cause, e.command)
}

func (e usageError) Unwrap() []error { return []error{ErrUsage, e.cause} }

// usagef returns a usage error that c finds when it is already running.
func usagef(c *cobra.Command, format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...), c.CommandPath()}
}

const about = `Weir is an API gateway that holds every request to its limits.

A project is a folder with OpenAPI definitions, policies and applications.
Three commands bring it to life:

  weir init petstore -a petstore.yaml
  weir build petstore
  weir gateway petstore/target/petstore.weir

'weir demo' shows it all at once, with a sample API and backend of its own.`

func newRoot(e Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "An API gateway that holds every request to its limits",
		Long:          about,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       readBuild().Version,
	}
	root.SetArgs(e.Args)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetVersionTemplate("weir {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupProject, Title: "Make a project:"},
		&cobra.Group{ID: groupServe, Title: "Serve it:"},
	)
	root.AddCommand(
		newInit(), newImport(), newKey(), newValidate(e), newBuild(),
		newGateway(e), newServe(e), newExplain(e), newDemo(e),
		newLoad(e), newTop(e), newDoctor(e), newDrill(e),
		newVersion(), newDocs(root),
	)
	return root
}

// The groups in which help lists the commands.
const (
	groupProject = "project"
	groupServe   = "serve"
)

// everyCommand calls f for c and all commands below it.
func everyCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, f)
	}
}

// exactly returns a check that a command has the arguments that names name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

// onlySubcommands makes c a command that does nothing but hold others.
func onlySubcommands(c *cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		if len(args) == 0 {
			return fmt.Errorf("say what to do: %s", strings.Join(names, ", "))
		}
		return fmt.Errorf("unknown command %q: there is %s", args[0], strings.Join(names, ", "))
	}
	c.RunE = func(*cobra.Command, []string) error { return nil }
	return c
}
