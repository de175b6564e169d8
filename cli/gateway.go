package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/project"
)

const aboutGateway = `Serve the APIs of an artifact that 'weir build' made, and hold every request to
its limits.

The configuration is conf/micro-gw.conf of the artifact's project, or the file
that --config names. It says where the gateway listens; without one that is port
9090, and 9764 on loopback for /healthz, /readyz and /metrics.

The gateway holds limits alone, unless its configuration makes it work together
with others through a traffic manager:

  [throttlingConfig]
  enabledGlobalTMEventPublishing = true
  throttleEndpointUrl = "https://localhost:9443/endpoints"
  throttleEndpointbase64Header = "admin:admin"

SIGHUP makes it read the artifact again, and so does a change of it with --watch.
An artifact that is wrong is logged and changes nothing. SIGINT and SIGTERM let
the calls under way finish; a second one does not wait.`

func newGateway(e Env) *cobra.Command {
	var cfg string
	var watch bool
	c := &cobra.Command{
		Use:     "gateway ARTIFACT",
		Short:   "Serve the APIs of an artifact",
		Long:    aboutGateway,
		GroupID: groupServe,
		Example: `  weir gateway petstore/target/petstore.weir
  weir gateway petstore/target/petstore.weir --config /etc/weir/micro-gw.conf --watch`,
		Args: exactly("ARTIFACT"),
		RunE: func(c *cobra.Command, args []string) error {
			artifact := args[0]
			conf, err := loadConfig(cfg, artifact, e.Getenv)
			if err != nil {
				return err
			}
			o := app.Options{
				Config:  conf,
				Gateway: app.Source{Read: func() (gateway.Definition, error) { return openArtifact(artifact) }},
				Reread:  func() (config.Config, error) { return loadConfig(cfg, artifact, e.Getenv) },
				Log:     e.Stderr,
				Version: readBuild().Version,
			}
			if watch {
				o.Gateway.Watch = artifact
			}
			return run(c.Context(), e, o)
		},
	}
	c.Flags().StringVar(&cfg, "config", "", "configuration file (default: conf/micro-gw.conf of the artifact's project)")
	c.Flags().BoolVar(&watch, "watch", false, "apply the artifact again whenever it changes")
	return c
}

// run builds a process and runs it until ctx is done. SIGHUP makes it reload.
func run(ctx context.Context, e Env, o app.Options) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	o.Hangup = hangup
	app.TuneMemory(e.Getenv)
	a, err := app.New(o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// loadConfig reads the configuration that --config names or, without it, that of
// the project to which target belongs: its folder, or an artifact in its target
// folder. A project without one has the defaults.
func loadConfig(name, target string, getenv func(string) string) (config.Config, error) {
	if name == "" {
		folder := target
		if !isFolder(target) {
			folder = filepath.Join(filepath.Dir(target), "..")
		}
		file := filepath.Join(folder, "conf", "micro-gw.conf")
		if _, err := os.Stat(file); err == nil {
			name = file
		}
	}
	return config.Load(name, getenv)
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// readDefinition reads a project's folder or an artifact.
func readDefinition(target string) (gateway.Definition, error) {
	if isFolder(target) {
		p, err := project.Load(target)
		if err != nil {
			return gateway.Definition{}, err
		}
		return p.Definition, nil
	}
	return openArtifact(target)
}

func openArtifact(name string) (gateway.Definition, error) {
	if isFolder(name) {
		base := filepath.Base(filepath.Clean(name))
		return gateway.Definition{}, fmt.Errorf("%s is a project: build it with 'weir build %s', and serve %s", name, name,
			filepath.Join(name, "target", base+".weir"))
	}
	return project.Open(name)
}
