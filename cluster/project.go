package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Level is that of the policy which limits requests.
type Level int

// The levels.
const (
	Application Level = iota
	Subscription
	Resource
)

// String returns the level's name as projects have it.
func (l Level) String() string {
	return [...]string{"application", "subscription", "resource"}[l]
}

// A Limit is one that the cluster's project has, with an application and a key of its
// own that are held to no other.
type Limit struct {
	// Name names the policy: letters and digits.
	Name string
	// Level is that of the policy.
	Level Level
	// Count is what may pass in each Per, whole seconds; zero: all.
	Count int64
	Per   time.Duration
	// Accuracy is eventual, bounded or exact; empty: what is usual at its level.
	Accuracy string
	// Key is the API key of requests, set by Start.
	Key string
}

// path is what requests call.
func (l *Limit) path() string {
	if l.Level == Resource {
		return "/cluster/" + l.Name
	}
	return "/cluster/any"
}

// tier returns the name of the policy that the limit has at a level.
func (l *Limit) tier(level Level) string {
	if l.Level == level && l.Count > 0 {
		return l.Name
	}
	return "Unlimited"
}

// policy is the limit's line in a list of policies.
func (l *Limit) policy() string {
	text := fmt.Sprintf("count: %d, unitTime: %d, timeUnit: sec", l.Count, l.Per/time.Second)
	if l.Accuracy != "" {
		text += ", accuracy: " + l.Accuracy
	}
	return fmt.Sprintf("  - %s: {%s}\n", l.Name, text)
}

// makeProject makes a project with the limits and gives each its key. It returns
// the artifact.
func (c *Cluster) makeProject() (string, error) {
	project, openapi := filepath.Join(c.dir, "sample"), filepath.Join(c.dir, "sample.yaml")
	if err := os.WriteFile(openapi, []byte(c.apiText()), 0o600); err != nil {
		return "", err
	}
	if _, err := c.weir("init", project, "-a", openapi); err != nil {
		return "", err
	}
	for name, text := range map[string]string{"policies.yaml": c.policiesText(), "applications.yaml": c.applicationsText()} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	for _, l := range c.options.Limits {
		key, err := c.weir("key", "create", project, "--application", l.Name, "--type", "PRODUCTION")
		if err != nil {
			return "", err
		}
		l.Key = strings.TrimSpace(key)
	}
	_, err := c.weir("build", project)
	return filepath.Join(project, "target", "sample.weir"), err
}

func (c *Cluster) apiText() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
openapi: 3.0.3
info: {title: sample, version: 1.0.0}
x-wso2-basePath: /cluster
x-wso2-production-endpoints: {urls: ["http://%s"]}
paths:
  /any:
    get: {responses: {"200": {description: fine}}}
`, c.backend.address())
	for _, l := range c.options.Limits {
		if l.Level == Resource {
			fmt.Fprintf(&b, "  /%s:\n    get: {x-wso2-throttling-tier: %s, responses: {\"200\": {description: fine}}}\n", l.Name, l.tier(Resource))
		}
	}
	return b.String()
}

func (c *Cluster) policiesText() string {
	var b strings.Builder
	for _, level := range []Level{Resource, Subscription, Application} {
		fmt.Fprintf(&b, "%sPolicies:\n", level)
		for _, l := range c.options.Limits {
			if l.Level == level && l.Count > 0 {
				b.WriteString(l.policy())
			}
		}
	}
	return b.String()
}

func (c *Cluster) applicationsText() string {
	var b strings.Builder
	b.WriteString("applications:\n")
	for _, l := range c.options.Limits {
		fmt.Fprintf(&b, "  - name: %s\n    owner: alice\n    tier: %s\n    subscriptions: [{api: sample, version: 1.0.0, tier: %s}]\n",
			l.Name, l.tier(Application), l.tier(Subscription))
	}
	return b.String()
}

// weir runs a command of the binary and returns what it prints.
func (c *Cluster) weir(args ...string) (string, error) {
	cmd := exec.Command(c.options.Weir, args...)
	cmd.Args[0] = "weir"
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			said = e.Stderr
		}
		return "", fmt.Errorf("weir %s: %w: %s", args[0], err, said)
	}
	return string(out), nil
}
