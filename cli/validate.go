package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway/project"
)

const aboutValidate = `Check projects, their files on their own (API definitions, policies, applications,
configurations), and artifacts. Each fault is a line with its place. A file *.conf is
read as the micro-gw.conf of 'weir gateway', a file *.toml as the deployment.toml of
'weir serve'. Of what is fine it says which limits ask for an accuracy of their own, and
through what counters are shared.`

func newValidate(e Env) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "validate FILE...",
		Short:   "Check projects, files of projects, and artifacts",
		Long:    aboutValidate,
		GroupID: groupProject,
		Example: `  weir validate petstore
  weir validate petstore/policies.yaml petstore/conf/micro-gw.conf
  weir validate /etc/weir/deployment.toml
  weir validate petstore -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("FILE is missing: a project's folder or a file of one")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			findings, err := validateAll(args, e.Getenv)
			if out.json() {
				if printErr := out.print(c, findings); printErr != nil || err == nil {
					return printErr
				}
				return errors.New("not valid; the output says why")
			}
			for i := range findings {
				f := &findings[i]
				switch f.Severity {
				case fine:
					is := "is"
					if f.Message == "policies" || f.Message == "applications" {
						is = "are"
					}
					fmt.Fprintf(c.OutOrStdout(), "%s: %s %s valid\n", f.File, f.Message, is)
				case note:
					fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", f.File, f.Message)
				case warning:
					fmt.Fprintf(c.ErrOrStderr(), "weir: warning: %s\n", f.text)
				}
			}
			return err
		},
	}
	out.flag(c, "text")
	return c
}

// The severities of findings.
const (
	fine    = "fine"
	note    = "note"
	warning = "warning"
	fault   = "fault"
)

// A finding is something that validate found in a file. Its JSON form is stable.
type finding struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Path     string `json:"path,omitempty"` // in the file's own terms
	Message  string `json:"message"`        // what the file is, if it is fine

	text string // in one line, with its place
}

// validateAll checks the files and returns what was found. The error has the faults.
func validateAll(names []string, getenv func(string) string) ([]finding, error) {
	findings := []finding{}
	var notes config.Faults
	var sharing []string
	checkConfig := func(path string) error {
		role := config.Microgateway
		if filepath.Ext(path) == ".toml" {
			role = config.All
		}
		c, err := config.LoadOf(role, path, getenv)
		notes = append(notes, c.Notes...)
		if err == nil {
			sharing = c.Sharing()
		}
		return err
	}
	var errs []error
	for _, name := range names {
		sharing = nil
		report, err := project.Validate(name, checkConfig)
		for _, w := range report.Warnings {
			findings = append(findings, newFinding(warning, w))
		}
		for _, n := range notes {
			findings = append(findings, newFinding(warning, n))
		}
		notes = nil
		if err == nil {
			findings = append(findings, finding{Severity: fine, File: name, Message: string(report.Content)})
			for _, text := range append(report.Sharing, sharing...) {
				findings = append(findings, finding{Severity: note, File: name, Message: text})
			}
			continue
		}
		errs = append(errs, err)
		for _, one := range unjoin(err) {
			findings = append(findings, newFinding(fault, one))
		}
	}
	return findings, errors.Join(errs...)
}

// unjoin returns the errors that err is made of.
func unjoin(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, unjoin(e)...)
	}
	return all
}

// newFinding returns the finding that an error of package project or config is.
func newFinding(severity string, err error) finding {
	f := finding{Severity: severity, Message: err.Error(), text: err.Error()}
	if p, ok := errors.AsType[*project.Fault](err); ok {
		f.File, f.Line, f.Column, f.Path, f.Message = p.File, p.Line, p.Column, p.Path, p.Message
	} else if c, ok := errors.AsType[*config.Fault](err); ok {
		f.File, f.Line, f.Path, f.Message = c.File, c.Line, c.Key, c.Message
	}
	return f
}
