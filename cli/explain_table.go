package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-project/weir/gateway"
)

// write prints e for people.
func (e *explanation) write(w io.Writer, d gateway.Definition) error {
	e.writeRequest(w)
	if e.Denied != nil {
		fmt.Fprintf(w, "\nThe deny policy %s names this request: nothing is counted.\n", e.Denied.ID)
	}
	if len(e.Checks) > 0 {
		fmt.Fprintln(w)
		if err := e.writeChecks(w); err != nil {
			return err
		}
	} else if e.Answer.Forward {
		fmt.Fprintln(w, "\nNo limit holds for this request.")
	}
	fmt.Fprintln(w)
	e.writeAnswer(w, d)
	return nil
}

// writeChecks prints the limits. Their accuracies are in it if they say anything: if
// not all are eventual.
func (e *explanation) writeChecks(w io.Writer) error {
	told := false
	for i := range e.Checks {
		told = told || e.Checks[i].held() != "eventual, local"
	}
	titles := []string{"LEVEL", "POLICY", "LIMIT", "ACCURACY", "USES", "LEFT", "MORE IN", "KEY"}
	if !told {
		titles = slices.Delete(titles, 3, 4)
	}
	t := newTable(w, titles...)
	for i := range e.Checks {
		c := &e.Checks[i]
		cells := []string{
			c.Level, c.policy(), c.Limit, c.held(),
			c.uses(), strconv.FormatInt(c.Remaining, 10), strconv.FormatInt(c.Reset, 10) + "s", c.Key,
		}
		if !told {
			cells = slices.Delete(cells, 3, 4)
		}
		t.row(cells...)
	}
	return t.flush()
}

// held returns how a fleet is held to the limit.
func (c *explainedCheck) held() string { return c.Accuracy + ", " + c.Loss }

func (e *explanation) writeRequest(w io.Writer) {
	r := &e.Request
	fmt.Fprintf(w, "%s %s\n", r.Method, r.Path)
	if r.API == "" {
		return
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s%s\n", name, fmt.Sprintf(format, args...))
	}
	resource := ""
	if r.Resource != "" {
		resource = ", resource " + r.Resource
	}
	line("api", "%s %s%s", r.API, r.Version, resource)
	if r.User != "" {
		if r.Application != "" {
			line("application", "%s, tier %s, subscribed as %s", r.Application, tier(r.Tier), tier(r.Subscribed))
		}
		line("user", "%s, %s key", r.User, strings.ToLower(r.KeyType))
	}
	line("client", "%s", r.ClientIP)
}

// tier returns the name of a tier; an empty one sets no limit.
func tier(name string) string {
	if name == "" {
		return "Unlimited"
	}
	return name
}

func (e *explanation) writeAnswer(w io.Writer, d gateway.Definition) {
	a := &e.Answer
	if a.Forward {
		fmt.Fprintf(w, "Answer: forwarded to %s\n", strings.Join(a.URLs, " or "))
		return
	}
	by := ""
	if a.Level != "" {
		by = fmt.Sprintf(", by the %s level's policy %s", a.Level, a.Policy)
	}
	fmt.Fprintf(w, "Answer: %d, code %s%s: %s\n", a.Status, a.Code, by, a.Reason)
	if a.Status != 404 {
		return
	}
	fmt.Fprintln(w, "The APIs are served under:")
	for i := range d.APIs {
		fmt.Fprintf(w, "  %s  (%s %s)\n", d.APIs[i].Context, d.APIs[i].Name, d.APIs[i].Version)
	}
}

// policy returns the check's policy with its group and its flags.
func (c *explainedCheck) policy() string {
	name := c.Policy
	if c.Group != nil {
		name += " group " + strconv.Itoa(*c.Group+1)
	}
	if c.Shadow {
		name += " (shadow)"
	}
	return name
}

// uses returns what the request would use, and whether it is too much.
func (c *explainedCheck) uses() string {
	n := strconv.FormatInt(c.Uses, 10)
	if c.Refuses {
		return n + ": refused"
	}
	return n
}
