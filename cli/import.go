package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/gateway/project"
)

func newImport() *cobra.Command {
	c := onlySubcommands(&cobra.Command{
		Use:     "import",
		Short:   "Take over limits from other systems",
		GroupID: groupProject,
	})
	c.AddCommand(newImportSynapse())
	return c
}

const aboutImportSynapse = `Take the maximum backend throughput out of an API's Synapse configuration, a whole
<api> or its <handlers>, and write it into the project's definition of that API as
x-weir-max-throughput.`

func newImportSynapse() *cobra.Command {
	var o project.ImportOptions
	c := &cobra.Command{
		Use:   "synapse FILE PROJECT",
		Short: "Take over the maximum backend throughput of a Synapse configuration",
		Long:  aboutImportSynapse,
		Example: `  weir import synapse admin--Pizza_v1.0.0.xml petstore
  weir import synapse handlers.xml petstore --api Petstore:1.0.0`,
		Args: exactly("FILE", "PROJECT"),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := project.ImportSynapse(args[0], args[1], o)
			if err != nil {
				return err
			}
			verb := "written"
			if in.Replaced {
				verb = "replaced"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s: %s in %s\n  %s\n", in.API, in.Version, verb, in.File, in.Written)
			for _, n := range in.Notes {
				fmt.Fprintf(c.ErrOrStderr(), "weir: %s\n", n)
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.API, "api", "", "API that it is for, as title or title:version, if FILE does not say")
	return c
}
