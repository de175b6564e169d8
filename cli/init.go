package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/gateway/project"
)

const aboutInit = `Make a project: a folder with the limits, the applications and the configuration
of a gateway, and room for API definitions.

With -a an OpenAPI file is copied into it, and an application is subscribed to the
API. If the file does not say where its backend is, that is written into the copy.`

func newInit() *cobra.Command {
	var o project.InitOptions
	c := &cobra.Command{
		Use:     "init PROJECT",
		Short:   "Make a project",
		Long:    aboutInit,
		GroupID: groupProject,
		Example: `  weir init petstore
  weir init petstore -a petstore.yaml
  weir init petstore -a petstore.yaml --backend http://127.0.0.1:8080`,
		Args: exactly("PROJECT"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Backend != "" && o.API == "" {
				return usagef(c, "--backend is that of an API: name its file with -a")
			}
			made, err := project.Init(args[0], o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Project '%s' is initialized successfully.\n", made.Name)
			for _, n := range made.Notes {
				fmt.Fprintf(c.ErrOrStderr(), "weir: %s: %s\n", made.Definition, n)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&o.API, "api-definition", "a", "", "OpenAPI file to copy into the project")
	c.Flags().StringVar(&o.Backend, "backend", "", "address of the API's backend, if the file names no endpoints")
	c.Flags().BoolVarP(&o.Force, "force", "f", false, "write over the files of a project that is there")
	return c
}
