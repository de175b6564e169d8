package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/doctor"
)

const aboutDoctor = `Look at everything that a node needs, and say what is wrong and what to do:

  the configuration, its artifacts and certificates
  the Redis or Valkey through which counters are shared
  each traffic manager, its credentials, and whether it shares as this node does
  each topic: whether it can be listened to and, by a traffic manager, published on
  the internal data API
  the ports: free, or in use by such a node
  the clocks of all of them

It reads what 'weir serve' or, from a file *.conf, 'weir gateway' reads, and reaches
others as those do, from the machine on which it runs. Nothing is changed, whether
the node runs or not. Everything is looked at at the same time.

The exit code is 1 if there is a fault.`

// doctorFlags are the flags of weir doctor.
type doctorFlags struct {
	file, role string
	timeout    time.Duration
	output     output
}

func newDoctor(e Env) *cobra.Command {
	var f doctorFlags
	roles := []string{string(config.All), string(config.Gateway), string(config.TrafficManager)}
	c := &cobra.Command{
		Use:     "doctor",
		Short:   "Look at all that a node needs, and say what to mend",
		Long:    aboutDoctor,
		GroupID: groupServe,
		Example: `  weir doctor
  weir doctor --config /etc/weir/deployment.toml --role traffic-manager
  weir doctor --config petstore/conf/micro-gw.conf -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.role != "" && !slices.Contains(roles, f.role) {
				return usagef(c, "--role %s: it is %s", f.role, strings.Join(roles, ", "))
			}
			if f.role != "" && filepath.Ext(f.file) == ".conf" {
				return usagef(c, "--role is for a deployment.toml: %s is the file of 'weir gateway'", f.file)
			}
			if f.timeout < 100*time.Millisecond || f.timeout > time.Minute {
				return usagef(c, "--timeout %s is not from 100ms to 1m", f.timeout)
			}
			return f.run(c, e)
		},
	}
	c.Flags().StringVar(&f.file, "config", deployment, "configuration file; without the flag there need be none")
	c.Flags().StringVar(&f.role, "role", "", "what the node is: "+strings.Join(roles, ", ")+" (default: what the file has artifacts for)")
	c.Flags().DurationVar(&f.timeout, "timeout", 5*time.Second, "how long each check may take")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp))
	f.output.flag(c, "table")
	return c
}

// run makes the report and prints it.
func (f *doctorFlags) run(c *cobra.Command, e Env) error {
	conf, err := f.load(c.Flags().Changed("config"), e.Getenv)
	var r doctor.Report
	if err != nil {
		r = doctor.Refused(err)
	} else {
		if _, missing := os.Stat(f.file); missing != nil {
			f.file = ""
		}
		r = doctor.Examine(c.Context(), doctor.Options{
			Config: conf, File: f.file, Artifacts: doctorArtifacts(&conf), Version: readBuild().Version, Timeout: f.timeout,
		})
	}
	if f.output.json() {
		err = f.output.print(c, r)
	} else {
		err = writeFindings(c.OutOrStdout(), r.Findings)
	}
	if faults := r.Count(doctor.Fault); err == nil && faults > 0 {
		return fmt.Errorf("%s", plural(faults, "fault"))
	}
	return err
}

// load reads the configuration for the role that the flags or the file say.
func (f *doctorFlags) load(named bool, getenv func(string) string) (config.Config, error) {
	switch {
	case filepath.Ext(f.file) == ".conf":
		return config.Load(f.file, getenv)
	case f.role != "":
		return loadDeployment(config.Role(f.role), f.file, named, getenv)
	}
	all, err := loadDeployment(config.All, f.file, named, getenv)
	for _, r := range []config.Role{config.TrafficManager, config.Gateway} {
		one, wrong := loadDeployment(r, f.file, named, getenv)
		counts, serves := one.TrafficManager.Artifact != "", one.Gateway.Artifact != ""
		if wrong == nil && counts != serves && counts == r.HasTrafficManager() {
			return one, nil
		}
	}
	return all, err
}

// doctorArtifacts returns the artifacts of the roles that c has. Which one 'weir
// gateway' serves, its configuration does not say.
func doctorArtifacts(c *config.Config) []doctor.Artifact {
	var all []doctor.Artifact
	add := func(key, file string) {
		all = append(all, doctor.Artifact{Key: key, File: file, Read: func() error {
			_, err := openArtifact(file)
			return err
		}})
	}
	if c.Role == config.Gateway || c.Role == config.All {
		add("gateway.artifact", c.Gateway.Artifact)
	}
	if counted := c.TrafficManager.Artifact; c.Role == config.TrafficManager || c.Role == config.All && counted != "" {
		add("traffic_manager.artifact", counted)
	}
	return all
}

// writeFindings writes a line for each finding, with what to do at its end.
func writeFindings(w io.Writer, all []doctor.Finding) error {
	widest := 0
	for _, f := range all {
		widest = max(widest, len(f.Level))
	}
	var errs []error
	for _, f := range all {
		line := fmt.Sprintf("%s  %s: %s", pad(string(f.Level), widest), printable(f.Check), printable(f.Found))
		if f.Advice != "" {
			line += " → " + printable(f.Advice)
		}
		_, err := fmt.Fprintln(w, line)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// plural returns how many there are of something.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
