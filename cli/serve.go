package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
)

const aboutServe = `Run a gateway, a traffic manager, or both in one process, as deployment.toml says.

A traffic manager counts what gateways let pass, and tells all of them which
limits are spent, so that many gateways hold one limit:

  [traffic_manager]
  artifact = "petstore/target/petstore.weir"

A gateway finds its artifact under [gateway], and the traffic managers under
[[apim.throttling.url_group]]. With --role all, the gateway works together with
the traffic manager of its own process, and needs no such group.

Gateways serve at port 8280; traffic managers take events at port 9443 over
HTTPS, on loopback until there is a password, and show /healthz, /readyz and
/metrics at 9763.

SIGHUP makes it read the artifacts again, and so does a change of them with
--watch. One that is wrong is logged and changes nothing.`

// deployment is the configuration that is read if none is named.
const deployment = "deployment.toml"

func newServe(e Env) *cobra.Command {
	var (
		file  string
		watch bool
		role  = string(config.All)
	)
	c := &cobra.Command{
		Use:     "serve",
		Short:   "Run a gateway, a traffic manager, or both",
		Long:    aboutServe,
		GroupID: groupServe,
		Example: `  weir serve
  weir serve --config /etc/weir/deployment.toml --role traffic-manager
  weir serve --config gateway.toml --role gateway --watch`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			r := config.Role(role)
			switch r {
			case config.All, config.Gateway, config.TrafficManager:
			case config.ControlPlane:
				return usagef(c, "--role control-plane: there is no control plane yet; artifacts have what it would tell")
			default:
				return usagef(c, "--role %s: it is %s", role, strings.Join(serveRoles(), ", "))
			}
			named := c.Flags().Changed("config")
			load := func() (config.Config, error) { return loadDeployment(r, file, named, e.Getenv) }
			conf, err := load()
			if err != nil {
				return err
			}
			o, err := serveOptions(&conf, file, watch)
			if err != nil {
				return err
			}
			o.Reread, o.Log, o.Version = load, e.Stderr, readBuild().Version
			return run(c.Context(), e, o)
		},
	}
	c.Flags().StringVar(&file, "config", deployment, "configuration file; without the flag there need be none")
	c.Flags().StringVar(&role, "role", role, "what to run: "+strings.Join(serveRoles(), ", "))
	c.Flags().BoolVar(&watch, "watch", false, "apply artifacts again whenever they change")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(serveRoles(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func serveRoles() []string {
	return []string{string(config.All), string(config.Gateway), string(config.TrafficManager), string(config.ControlPlane)}
}

// loadDeployment reads the configuration of a role. If the file was not named it need
// not be there.
func loadDeployment(r config.Role, file string, named bool, getenv func(string) string) (config.Config, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && !named {
		file = ""
	}
	return config.LoadOf(r, file, getenv)
}

// serveOptions returns what a process of the configuration's role is built from.
func serveOptions(c *config.Config, file string, watch bool) (app.Options, error) {
	served, counted := c.Gateway.Artifact, c.TrafficManager.Artifact
	if c.Role == config.All && counted == "" {
		counted = served
	}
	o := app.Options{Config: *c}
	for _, s := range []struct {
		key, artifact string
		needed        bool
		to            *app.Source
	}{
		{"gateway.artifact", served, c.Role.HasGateway(), &o.Gateway},
		{"traffic_manager.artifact", counted, c.Role.HasTrafficManager(), &o.TrafficManager},
	} {
		if !s.needed {
			continue
		}
		if s.artifact == "" {
			return o, fmt.Errorf("%s: %s: is missing: 'weir build PROJECT' makes PROJECT/target/PROJECT.weir", file, s.key)
		}
		s.to.Read = func() (gateway.Definition, error) { return openArtifact(s.artifact) }
		if watch {
			s.to.Watch = s.artifact
		}
	}
	return o, nil
}
