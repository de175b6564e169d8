package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A limit is one that the sample project has: of a level, with an application and
// a key of its own that are held to no other.
type limit struct {
	name  string
	level string // application, subscription or resource
	count int64
	per   time.Duration // whole seconds
	rate  float64       // requests a second that are sent to it
	key   string        // API key; made with the project
}

// levels of a limit.
const (
	application  = "application"
	subscription = "subscription"
	resource     = "resource"
)

func (l *limit) String() string {
	return fmt.Sprintf("%d per %s", l.count, shorter(l.per))
}

// path returns the path that requests for the limit call.
func (l *limit) path() string {
	if l.level == resource {
		return "/cluster/" + l.name
	}
	return "/cluster/any"
}

// tier returns the name of the policy of a level: the limit's own, or none.
func (l *limit) tier(level string) string {
	if l.level == level {
		return l.name
	}
	return "Unlimited"
}

// makeProject makes a project with the limits and gives each its key. It returns
// the artifact.
func makeProject(weir, dir, backend string, limits []*limit) (string, error) {
	project := filepath.Join(dir, "sample")
	openapi := filepath.Join(dir, "sample.yaml")
	if err := os.WriteFile(openapi, []byte(apiText(backend, limits)), 0o600); err != nil {
		return "", err
	}
	if _, err := output(weir, "init", project, "-a", openapi); err != nil {
		return "", err
	}
	for name, text := range map[string]string{"policies.yaml": policiesText(limits), "applications.yaml": applicationsText(limits)} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	for _, l := range limits {
		key, err := output(weir, "key", "create", project, "--application", l.name, "--type", "PRODUCTION")
		if err != nil {
			return "", err
		}
		l.key = strings.TrimSpace(key)
	}
	_, err := output(weir, "build", project)
	return filepath.Join(project, "target", "sample.weir"), err
}

// output runs a command and returns what it prints.
func output(weir string, args ...string) (string, error) {
	cmd := exec.Command(weir, args...)
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

func apiText(backend string, limits []*limit) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
openapi: 3.0.3
info: {title: sample, version: 1.0.0}
x-wso2-basePath: /cluster
x-wso2-production-endpoints: {urls: ["http://%s"]}
paths:
  /any:
    get: {responses: {"200": {description: fine}}}
`, backend)
	for _, l := range limits {
		if l.level == resource {
			fmt.Fprintf(&b, "  /%s:\n    get: {x-wso2-throttling-tier: %s, responses: {\"200\": {description: fine}}}\n", l.name, l.name)
		}
	}
	return b.String()
}

func policiesText(limits []*limit) string {
	var b strings.Builder
	for _, level := range []string{resource, subscription, application} {
		fmt.Fprintf(&b, "%sPolicies:\n", level)
		for _, l := range limits {
			if l.level == level {
				fmt.Fprintf(&b, "  - %s: {count: %d, unitTime: %d, timeUnit: sec}\n", l.name, l.count, l.per/time.Second)
			}
		}
	}
	return b.String()
}

func applicationsText(limits []*limit) string {
	var b strings.Builder
	b.WriteString("applications:\n")
	for _, l := range limits {
		fmt.Fprintf(&b, "  - name: %s\n    owner: alice\n    tier: %s\n    subscriptions: [{api: sample, version: 1.0.0, tier: %s}]\n",
			l.name, l.tier(application), l.tier(subscription))
	}
	return b.String()
}

// shorter returns d without the units that are zero.
func shorter(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
