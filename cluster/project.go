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

// A Limit is one that the cluster's project has: of applications, with an
// application and a key of its own that are held to no other.
type Limit struct {
	// Name names the policy: letters and digits.
	Name string
	// Count is what may pass in each Per, whole seconds; zero: all.
	Count int64
	Per   time.Duration
	// Accuracy is eventual, bounded or exact.
	Accuracy string
	// Key is the API key of requests, set by Start.
	Key string
}

// path is what requests call.
const path = "/cluster/any"

// makeProject makes a project with the limits and gives each its key. It returns
// the artifact.
func (c *Cluster) makeProject() (string, error) {
	project, openapi := filepath.Join(c.dir, "sample"), filepath.Join(c.dir, "sample.yaml")
	text := fmt.Sprintf(`
openapi: 3.0.3
info: {title: sample, version: 1.0.0}
x-wso2-basePath: /cluster
x-wso2-production-endpoints: {urls: ["http://%s"]}
paths:
  /any:
    get: {responses: {"200": {description: fine}}}
`, c.backend.address())
	if err := os.WriteFile(openapi, []byte(text), 0o600); err != nil {
		return "", err
	}
	if _, err := c.weir("init", project, "-a", openapi); err != nil {
		return "", err
	}
	policies, applications := "applicationPolicies:\n", "applications:\n"
	for _, l := range c.options.Limits {
		tier := "Unlimited"
		if l.Count > 0 {
			tier = l.Name
			policies += fmt.Sprintf("  - %s: {count: %d, unitTime: %d, timeUnit: sec, accuracy: %s}\n", l.Name, l.Count, l.Per/time.Second, l.Accuracy)
		}
		applications += fmt.Sprintf("  - name: %s\n    owner: alice\n    tier: %s\n    subscriptions: [{api: sample, version: 1.0.0, tier: Unlimited}]\n", l.Name, tier)
	}
	for name, text := range map[string]string{"policies.yaml": policies, "applications.yaml": applications} {
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
