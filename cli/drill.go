package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/drill"
)

const aboutDrill = `Make something fail in a test cluster, under load, and see what holds of what
is promised: by how much limits were exceeded, whether requests failed or waited,
and how soon the limits were held by all together again.

The cluster is made for the drill, on this machine: gateways and traffic managers as
processes of this program; and the Redis or Valkey that is installed here, with a
replica and Sentinels where the drill needs them. It has ports of its own on loopback and
a folder of its own, and is gone afterwards. Nothing else is touched.

A drill takes half a minute. 'weir drill list' shows all of them, and 'weir drill all'
makes all of them, one after the other.

The exit code is 1 if a promise did not hold.`

// drillFlags are the flags of weir drill.
type drillFlags struct {
	options drill.Options
	output  output
}

func newDrill(e Env) *cobra.Command {
	var f drillFlags
	c := &cobra.Command{
		Use:     "drill NAME",
		Short:   "Make something fail in a test cluster, and see what holds",
		Long:    aboutDrill,
		GroupID: groupServe,
		Example: `  weir drill list
  weir drill store-failover
  weir drill traffic-manager-kill --store 127.0.0.1:6379
  weir drill all -o json`,
		Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if f.options.Weir, err = os.Executable(); err != nil {
				return fmt.Errorf("where this program is: %w", err)
			}
			f.options.BrokerCommand = []string{"drill", drillBroker}
			f.options.Progress = func(text string) { fmt.Fprintln(e.Stderr, text) }
			return f.run(c, args[0])
		},
	}
	s := c.Flags()
	s.IntVar(&f.options.Gateways, "gateways", 3, "gateways of the cluster")
	s.IntVar(&f.options.Managers, "managers", 2, "traffic managers of the cluster")
	s.StringVar(&f.options.Store, "store", "", "a Redis or Valkey to be used, host:port without a password, for drills that do not harm it (default: one is started)")
	f.output.flag(c, "table")
	c.AddCommand(newDrillList(), newDrillBroker(e))
	return c
}

func newDrillList() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "list",
		Short:   "Show the drills that there are",
		Example: "  weir drill list",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if out.json() {
				return out.print(c, drill.List())
			}
			t := newTable(c.OutOrStdout(), "NAME", "WHAT HAPPENS")
			for _, d := range drill.List() {
				t.row(d.Name, d.About)
			}
			return t.flush()
		},
	}
	out.flag(c, "table")
	return c
}

// drillBroker is the command by which a drill's cluster runs its broker.
const drillBroker = "broker"

func newDrillBroker(e Env) *cobra.Command {
	return &cobra.Command{
		Use:     drillBroker,
		Short:   "Run the broker of a drill's cluster",
		Example: "  weir drill broker",
		Hidden:  true,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return drill.Serve(c.Context(), e.Getenv("WEIR_BROKER_LISTEN"), e.Getenv("WEIR_BROKER_PASSWORD"))
		},
	}
}

// run makes the drills that name says and prints what came of them.
func (f *drillFlags) run(c *cobra.Command, name string) error {
	if f.options.Gateways < 2 || f.options.Gateways > 32 || f.options.Managers < 2 || f.options.Managers > 16 {
		return usagef(c, "a cluster has from 2 to 32 gateways, and from 2 to 16 traffic managers")
	}
	names := []string{name}
	if name == "all" {
		names = nil
		for _, d := range drill.List() {
			if !d.OwnStore || f.options.Store == "" {
				names = append(names, d.Name)
			}
		}
	}
	var reports []*drill.Report
	var errs []error
	broken := 0
	for _, name := range names {
		f.options.Progress("drill " + name)
		r, err := drill.Run(c.Context(), name, f.options)
		switch {
		case errors.Is(err, drill.ErrUnknown):
			return usageError{err, c.CommandPath()}
		case errors.Is(err, context.Canceled):
			return errors.New("stopped; nothing is left behind")
		case err != nil:
			errs = append(errs, err)
			continue
		}
		if reports = append(reports, r); !r.Held {
			broken++
		}
		if !f.output.json() {
			if err := writeDrill(c.OutOrStdout(), r); err != nil {
				return err
			}
		}
	}
	if f.output.json() {
		if err := f.output.print(c, reports); err != nil {
			return err
		}
	}
	if broken > 0 {
		errs = append(errs, fmt.Errorf("of %s %d broke a promise", plural(len(reports), "drill"), broken))
	}
	return errors.Join(errs...)
}

// writeDrill writes what came of a drill as a table.
func writeDrill(w io.Writer, r *drill.Report) error {
	fmt.Fprintf(w, "%s: %s (%d requests)\n\n", r.Drill, r.About, r.Requests)
	t := newTable(w, "MEASURED", "RESULT", "PROMISED", "")
	words := map[drill.Verdict]string{drill.Held: "ok", drill.Broken: "NOT OK", drill.Unclear: "unclear: this machine was too busy"}
	for _, m := range r.Measures {
		promised := "≤ " + drillNumber(m.Most, m.Unit)
		if m.Most == 0 {
			promised = "0"
		}
		t.row(m.What, drillNumber(m.Value, m.Unit), promised, words[m.Verdict])
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// drillNumber returns a figure with its unit.
func drillNumber(v float64, unit string) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if unit == "requests" {
		return text
	}
	return text + " " + unit
}
