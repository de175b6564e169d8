package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/project"
)

const aboutKeyCreate = `Make an API key for an application and print it: this once, since the project
keeps only its hash. Build the project again for the gateway to know it. To revoke
a key, remove its entry from applications.yaml.`

func newKey() *cobra.Command {
	c := onlySubcommands(&cobra.Command{
		Use:     "key",
		Short:   "Make API keys",
		GroupID: groupProject,
	})
	c.AddCommand(newKeyCreate())
	return c
}

func newKeyCreate() *cobra.Command {
	var o project.KeyOptions
	types := []string{weir.Production.String(), weir.Sandbox.String()}
	var keyType string
	c := &cobra.Command{
		Use:   "create PROJECT --application NAME --type PRODUCTION|SANDBOX",
		Short: "Make an API key for an application, and print it once",
		Long:  aboutKeyCreate,
		Example: `  weir key create petstore --application shop --type PRODUCTION
  KEY=$(weir key create petstore --application shop --type SANDBOX)`,
		Args: exactly("PROJECT"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.Application == "":
				return usagef(c, "--application is missing: the name of an application in applications.yaml")
			case strings.EqualFold(keyType, types[0]):
				o.Type = weir.Production
			case strings.EqualFold(keyType, types[1]):
				o.Type = weir.Sandbox
			default:
				return usagef(c, "--type is %s, not %q", strings.Join(types, " or "), keyType)
			}
			key, err := project.CreateKey(args[0], o)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), key)
			return nil
		},
	}
	c.Flags().StringVar(&o.Application, "application", "", "name of the application (required)")
	c.Flags().StringVar(&keyType, "type", "", "PRODUCTION or SANDBOX: which endpoints the key calls (required)")
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(types, cobra.ShellCompDirectiveNoFileComp))
	return c
}
