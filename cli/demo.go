package cli

import (
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/app"
)

// The ports that a gateway has unless it is told otherwise.
const (
	gatewayPort    = 9090
	managementPort = 9764
)

const aboutDemo = `Run a gateway with a sample API, an application that may make ten requests a
minute, a fresh key for it, and a backend, all in this process and on loopback.
It prints what to try, and leaves nothing behind when it is stopped with ^C.

With --backend it runs the backend alone, for a gateway with a project of your own.`

func newDemo(Env) *cobra.Command {
	port, backend := gatewayPort, ""
	c := &cobra.Command{
		Use:     "demo",
		Short:   "Show it all at once, with a sample API",
		Long:    aboutDemo,
		GroupID: groupServe,
		Example: "  weir demo\n  weir demo --port 8080\n  weir demo --backend 127.0.0.1:9091",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if port < 1 || port > 65535 {
				return usagef(c, "--port %d is no port", port)
			}
			if backend != "" {
				return runDemoBackend(c, backend)
			}
			out := c.OutOrStdout()
			err := app.RunDemo(c.Context(), app.DemoOptions{
				Port: port, ManagementPort: managementPort,
				Version: readBuild().Version, Log: c.ErrOrStderr(),
				Started: func(d app.Demo) { writeDemo(out, d) },
			})
			if err == nil {
				fmt.Fprintln(out, "\nStopped.")
			}
			return err
		},
	}
	c.Flags().IntVar(&port, "port", port, "port of the gateway; the next free one if it is taken")
	c.Flags().StringVar(&backend, "backend", backend, "serve the sample's backend alone, at this address of the machine's loopback")
	return c
}

// runDemoBackend serves the sample's backend at an address, which must be one
// that other machines do not reach.
func runDemoBackend(c *cobra.Command, address string) error {
	if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().IsLoopback() {
		return usagef(c, "--backend %q is no address like 127.0.0.1:9091", address)
	}
	return app.RunDemoBackend(c.Context(), address, func(origin string) {
		fmt.Fprintf(c.ErrOrStderr(), "weir: the sample's backend is at %s; stop it with ^C\n", origin)
	})
}

const demoText = `
Weir is serving a sample API on this machine. Stop it with ^C.

  API         {api}    Petstore 1.0.0, to {backend}
  metrics     {management}/metrics
  API key     {key}
              of the application "demo", which may make 10 requests a minute

Try it in another terminal. One request:

  curl -i -H 'ApiKey: {key}' {api}/pets

Eleven in one minute are one too many: the last gets 429, and says why and until when.

  for i in 1 2 3 4 5 6 7 8 9 10; do curl -s -o /dev/null -w "request $i: %{http_code}\n" -H 'ApiKey: {key}' {api}/pets; done
  curl -i -H 'ApiKey: {key}' {api}/pets

What anybody may ask, without a key, and what nobody may without one:

  curl -i {api}/health
  curl -i {api}/pets/1

`

// writeDemo says what there is to try.
func writeDemo(w io.Writer, d app.Demo) {
	if d.Taken != 0 {
		fmt.Fprintf(w, "\nPort %d is taken, so the gateway has port %d.\n", d.Taken, d.HTTP.Port())
	}
	origin := url.URL{Scheme: "http", Host: d.HTTP.String(), Path: d.Context}
	strings.NewReplacer(
		"{api}", origin.String(),
		"{backend}", d.Backend,
		"{management}", "http://"+d.Management.String(),
		"{key}", d.Key,
	).WriteString(w, demoText) //nolint:errcheck // a terminal that went away is told nothing
}
