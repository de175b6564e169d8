package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/load"
)

const aboutLoad = `Send requests at a constant rate, and say how many were admitted and how many
refused: in all, by the limit that refused them, and in each window of it.

Requests leave when they are due, however slow the answers are, over as many
connections as --clients says; they are spread evenly over the URLs. If no
connection is free, they leave late, which is shown.

With --limit, every window says by how much more was admitted than the limit.
--align 1m begins with the next whole minute, so that windows are hit whole.

^C ends the load; what came of it until then is printed.`

// loadFlags are the flags of weir load.
type loadFlags struct {
	options  load.Options
	headers  []string
	body     string
	limit    int64
	insecure bool
	ca       string
	output   output
}

func newLoad(e Env) *cobra.Command {
	f := loadFlags{options: load.Options{Rate: 100, Clients: 64, Duration: 10 * time.Second, Timeout: 10 * time.Second}}
	c := &cobra.Command{
		Use:     "load URL...",
		Short:   "Send requests at a constant rate, and see what the limits do",
		Long:    aboutLoad,
		GroupID: groupServe,
		Example: `  weir load http://127.0.0.1:9090/petstore/v1/pets --header "ApiKey: $KEY"
  weir load http://127.0.0.1:8280/pets http://127.0.0.1:8281/pets --rate 1000 --duration 2m \
      --align 1m --window 1m --limit 10000 --header "ApiKey: $KEY"
  weir load http://127.0.0.1:9090/petstore/v1/pets --method POST --body @pet.json -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("URL is missing")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f.options.Targets = args
			if err := f.complete(c); err != nil {
				return err
			}
			return f.run(c, e)
		},
	}
	f.define(c)
	return c
}

func (f *loadFlags) define(c *cobra.Command) {
	s, o := c.Flags(), &f.options
	s.Float64VarP(&o.Rate, "rate", "r", o.Rate, "requests a second to all URLs together; 0: as many as it takes")
	s.IntVarP(&o.Clients, "clients", "c", o.Clients, "connections to all URLs together")
	s.DurationVarP(&o.Duration, "duration", "d", o.Duration, "for how long requests are sent")
	s.StringArrayVarP(&f.headers, "header", "H", nil, "header field 'Name: value'; may be given several times")
	s.StringVarP(&o.Method, "method", "X", "GET", "method of the requests")
	s.StringVar(&f.body, "body", "", "body of the requests; @FILE reads it from a file")
	s.Int64Var(&f.limit, "limit", 0, "how many requests a limit admits in each window; 0: there is none to compare with")
	s.DurationVar(&o.Window, "window", time.Minute, "window of the limit, counted from the Unix epoch")
	s.DurationVar(&o.Align, "align", 0, "begin at the next multiple of this, as with 1m at the next whole minute; 0: at once")
	s.DurationVar(&o.Timeout, "timeout", o.Timeout, "how long an answer may take")
	s.BoolVarP(&f.insecure, "insecure", "k", false, "take any certificate")
	s.StringVar(&f.ca, "cacert", "", "certificate authorities for https in PEM (default: those of the system)")
	f.output.flag(c, "table")
}

// complete fills in what the flags say in other words.
func (f *loadFlags) complete(c *cobra.Command) error {
	if f.limit < 0 {
		return usagef(c, "--limit %d is negative", f.limit)
	}
	if f.options.Window <= 0 {
		return usagef(c, "--window %s is no window", f.options.Window)
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return usagef(c, "--header %q: write it as 'Name: value'", h)
		}
		f.options.Header = append(f.options.Header, load.Field{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	f.options.Body = []byte(f.body)
	if name, ok := strings.CutPrefix(f.body, "@"); ok {
		body, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("body: %w", err)
		}
		f.options.Body = body
	}
	config, err := clientTLS(f.insecure, f.ca)
	f.options.TLS = config
	return err
}

// clientTLS returns how the certificates of servers are checked.
func clientTLS(insecure bool, ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // only if asked for
	if ca == "" {
		return c, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("cacert: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cacert: %s has no certificate in PEM", ca)
	}
	return c, nil
}

// run makes the load, shows how far it is, and prints what came of it.
func (f *loadFlags) run(c *cobra.Command, e Env) error {
	l, err := load.New(f.options)
	if err != nil {
		return usageError{err, c.CommandPath()}
	}
	stop := showProgress(e, l, &f.options)
	r, err := l.Run(c.Context())
	stop()
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped before the first request")
	}
	if err != nil {
		return err
	}
	report := newLoadReport(f, r)
	if f.output.json() {
		err = f.output.print(c, report)
	} else {
		err = report.write(c.OutOrStdout())
	}
	if err == nil && r.Latency.Count == 0 && r.Total.Failed > 0 {
		return fmt.Errorf("no request was answered: %s", printable(r.Faults[0].Example))
	}
	return err
}
