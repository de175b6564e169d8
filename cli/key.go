package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/project"
)

const aboutKeyCreate = `Make an API key for an application and print it: this once, since the project
keeps only its hash. Build the project again for the gateway to know it. To revoke
a key, remove its entry from applications.yaml.

With --create an application that is not there yet is written into
applications.yaml: with an owner, a tier, and a subscription for each --subscribe.
An application that is there stays as it is.`

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
	var fresh newApplication
	c := &cobra.Command{
		Use:   "create PROJECT --application NAME --type PRODUCTION|SANDBOX",
		Short: "Make an API key for an application, and print it once",
		Long:  aboutKeyCreate,
		Example: `  weir key create petstore --application shop --type PRODUCTION
  KEY=$(weir key create petstore --application shop --type SANDBOX)
  weir key create petstore --application web --type PRODUCTION \
      --create --owner alice --tier 10PerMin --subscribe Petstore=Gold`,
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
			var err error
			if o.Create, err = fresh.application(c, o.Application); err != nil {
				return err
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
	fresh.flags(c)
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(types, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// A newApplication is what the flags of --create say of an application.
type newApplication struct {
	create        bool
	owner, tier   string
	subscriptions []string
}

func (n *newApplication) flags(c *cobra.Command) {
	c.Flags().BoolVar(&n.create, "create", false, "make the application if it is not there")
	c.Flags().StringVar(&n.owner, "owner", "", "with --create: the user as whom its API keys call (default: the application's name)")
	c.Flags().StringVar(&n.tier, "tier", weir.Unlimited, "with --create: its application policy")
	c.Flags().StringArrayVar(&n.subscriptions, "subscribe", nil,
		"with --create: API=TIER, all versions of an API and a subscription policy; may be given several times")
}

// application returns the application to make, nil without --create.
func (n *newApplication) application(c *cobra.Command, name string) (*project.Application, error) {
	if !n.create {
		for _, flag := range []string{"owner", "tier", "subscribe"} {
			if c.Flags().Changed(flag) {
				return nil, usagef(c, "--%s is for --create only", flag)
			}
		}
		return nil, nil
	}
	a := &project.Application{Owner: cmp.Or(n.owner, name), Tier: n.tier}
	for _, s := range n.subscriptions {
		i := strings.LastIndexByte(s, '=')
		if i < 1 || i == len(s)-1 {
			return nil, usagef(c, "--subscribe %q: write it as API=TIER", s)
		}
		a.Subscriptions = append(a.Subscriptions, project.Subscription{API: s[:i], Tier: s[i+1:]})
	}
	return a, nil
}
