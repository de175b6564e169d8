package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// An output is how a command prints its data: for people or as JSON.
type output struct {
	format string
	all    []string
}

// flag adds -o to c; people is the name of the format for people, the default.
func (o *output) flag(c *cobra.Command, people string) {
	o.format, o.all = people, []string{people, "json"}
	c.Flags().VarP(o, "output", "o", "format of the output: "+strings.Join(o.all, " or "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(o.all, cobra.ShellCompDirectiveNoFileComp))
}

// Set, String and Type make an output a flag.
func (o *output) Set(s string) error {
	if !slices.Contains(o.all, s) {
		return fmt.Errorf("it is %s", strings.Join(o.all, " or "))
	}
	o.format = s
	return nil
}

func (o *output) String() string { return o.format }
func (o *output) Type() string   { return "format" }

func (o *output) json() bool { return o.format == "json" }

// print writes v as JSON.
func (o *output) print(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// A table is rows of text in columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t table) flush() error { return t.w.Flush() }
