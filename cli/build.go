package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/gateway/project"
)

const aboutBuild = `Check a project as a whole and compile it into the artifact that 'weir gateway'
serves: PROJECT/target/PROJECT.weir. If anything is wrong, every fault is a line
with its place, and the artifact that is there stays as it is.`

func newBuild() *cobra.Command {
	return &cobra.Command{
		Use:     "build PROJECT",
		Short:   "Compile a project into the artifact that the gateway serves",
		Long:    aboutBuild,
		GroupID: groupProject,
		Example: "  weir build petstore",
		Args:    exactly("PROJECT"),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := project.Build(args[0])
			if err != nil {
				return err
			}
			warn(c.ErrOrStderr(), b.Warnings)
			fmt.Fprintf(c.OutOrStdout(), "Build successful  for the project - %s\n", b.Name)
			return nil
		},
	}
}

// warn prints what is not served although it stands in a file.
func warn(w io.Writer, warnings project.Faults) {
	for _, f := range warnings {
		fmt.Fprintf(w, "weir: warning: %v\n", f)
	}
}
