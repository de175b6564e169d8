package cli

import (
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/gateway"
)

const aboutExplain = `Say what the gateway would do with a request, and why: who sends it, each limit
that it is held to in the order of the checks, what is counted under which key,
what it would use and what would be left, and what the answer would be. Of each limit
it says how closely a fleet keeps it (eventual, bounded, exact), and what it does while
gateways cannot share it (local, closed, open).

The counters are those of a gateway that has just started. Nothing is counted
and no backend is called.`

func newExplain(e Env) *cobra.Command {
	var (
		out     output
		cfg     string
		call    app.Call
		headers []string
		ip      string
	)
	c := &cobra.Command{
		Use:     "explain PROJECT|ARTIFACT",
		Short:   "Say what would be decided for a request, and why",
		Long:    aboutExplain,
		GroupID: groupServe,
		Example: `  weir explain petstore --path /petstore/v1/pets --api-key "$KEY"
  weir explain petstore/target/petstore.weir --method POST --path /petstore/v1/pets \
      --api-key "$KEY" --header 'User-Agent: test' --ip 10.1.2.3 --body-size 2048
  weir explain petstore --path /petstore/v1/pets --query kind=dog -o json`,
		Args: exactly("PROJECT or ARTIFACT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := completeCall(c, &call, headers, ip); err != nil {
				return err
			}
			conf, err := loadConfig(cfg, args[0], e.Getenv)
			if err != nil {
				return err
			}
			d, err := readDefinition(args[0])
			if err != nil {
				return err
			}
			x, err := app.Explain(c.Context(), conf, d, call, time.Now())
			if err != nil {
				return err
			}
			view := newExplanation(&call, &x)
			if out.json() {
				return out.print(c, view)
			}
			return view.write(c.OutOrStdout(), d)
		},
	}
	f := c.Flags()
	f.StringVar(&call.Method, "method", "GET", "method of the request")
	f.StringVar(&call.Path, "path", "", "path of the request as a client sends it, with the API's base path (required)")
	f.StringVar(&call.Query, "query", "", "query of the request, as it stands behind the ?")
	f.StringVar(&call.APIKey, "api-key", "", "API key that the request carries")
	f.StringVar(&call.Token, "token", "", "access token (JWT) that the request carries")
	f.StringArrayVar(&headers, "header", nil, "header field 'Name: value'; may be given several times")
	f.StringVar(&ip, "ip", "127.0.0.1", "address from which the request comes")
	f.Int64Var(&call.BodySize, "body-size", 0, "size of the request's body in bytes")
	f.StringVar(&cfg, "config", "", "configuration file (default: conf/micro-gw.conf of the project)")
	out.flag(c, "table")
	return c
}

// completeCall fills in what the flags say in other words.
func completeCall(c *cobra.Command, call *app.Call, headers []string, ip string) error {
	if call.Path == "" {
		return usagef(c, "--path is missing")
	}
	if path, query, ok := strings.Cut(call.Path, "?"); ok {
		if call.Query != "" {
			return usagef(c, "there is a query in --path and another in --query")
		}
		call.Path, call.Query = path, query
	}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return usagef(c, "--header %q: write it as 'Name: value'", h)
		}
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if strings.EqualFold(name, "Host") {
			call.Host = value
			continue
		}
		call.Header = append(call.Header, app.HeaderField{Name: name, Value: value})
	}
	if call.BodySize < 0 {
		return usagef(c, "--body-size %d is negative", call.BodySize)
	}
	var err error
	if call.Peer, err = netip.ParseAddr(ip); err != nil {
		return usagef(c, "--ip %q is no address", ip)
	}
	return nil
}

// An explanation is what explain prints. Its JSON form is stable.
type explanation struct {
	Request explainedRequest `json:"request"`
	Denied  *explainedDeny   `json:"denied,omitempty"`
	Checks  []explainedCheck `json:"checks"`
	Answer  explainedAnswer  `json:"answer"`
}

type explainedRequest struct {
	Method      string `json:"method"`
	Path        string `json:"path"`
	API         string `json:"api,omitempty"`
	Version     string `json:"version,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Application string `json:"application,omitempty"`
	Tier        string `json:"application_tier,omitempty"`
	Subscribed  string `json:"subscription_tier,omitempty"`
	User        string `json:"user,omitempty"`
	KeyType     string `json:"key_type,omitempty"`
	ClientIP    string `json:"client_ip,omitempty"`
}

type explainedDeny struct {
	ID string `json:"id"`
}

type explainedCheck struct {
	Level     string `json:"level"`
	Policy    string `json:"policy"`
	Group     *int   `json:"group,omitempty"` // nil: the policy's own limit
	Key       string `json:"key"`
	Limit     string `json:"limit"`
	Accuracy  string `json:"accuracy"`
	Loss      string `json:"on_store_loss"`
	Shadow    bool   `json:"shadow,omitempty"`
	Uses      int64  `json:"uses"`
	Remaining int64  `json:"remaining"`
	Reset     int64  `json:"reset_seconds"`
	Refuses   bool   `json:"refuses"`
}

type explainedAnswer struct {
	Forward bool     `json:"forward"`
	URLs    []string `json:"urls,omitempty"`
	Status  int      `json:"status,omitempty"`
	Code    string   `json:"code,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Level   string   `json:"level,omitempty"`
	Policy  string   `json:"policy,omitempty"`
}

func newExplanation(call *app.Call, x *gateway.Explanation) explanation {
	r := &x.Request
	e := explanation{
		Request: explainedRequest{
			Method: call.Method, Path: call.Path, API: r.API, Version: r.Version, Resource: r.Resource,
			Application: r.Application.Name, Tier: r.Application.Tier, Subscribed: r.SubscriptionTier, User: r.User,
		},
		Checks: []explainedCheck{},
		Answer: explainedAnswer{
			Forward: x.Status == 0, Status: x.Status, Code: x.Code, Reason: x.Reason, Level: x.Level, Policy: x.Policy,
		},
	}
	if r.User != "" {
		e.Request.KeyType = r.KeyType.String()
	}
	if r.ClientIP.IsValid() {
		e.Request.ClientIP = r.ClientIP.String()
	}
	if x.Denied != nil {
		e.Denied = &explainedDeny{x.Denied.ID}
	}
	for i := range x.Checks {
		e.Checks = append(e.Checks, newExplainedCheck(&x.Checks[i]))
	}
	if e.Answer.Forward {
		for _, u := range x.Forward {
			e.Answer.URLs = append(e.Answer.URLs, u+x.ForwardPath)
		}
	}
	return e
}

func newExplainedCheck(c *gateway.ExplainedCheck) explainedCheck {
	e := explainedCheck{
		Level: c.Level, Policy: c.Policy, Key: c.Key, Limit: c.Limit, Shadow: c.Shadow,
		Accuracy: c.Accuracy, Loss: c.OnStoreLoss,
		Uses: c.Uses, Remaining: c.Remaining, Reset: int64((c.Reset + time.Second - 1) / time.Second), Refuses: c.Refuses,
	}
	if c.Group >= 0 {
		e.Group = &c.Group
	}
	return e
}
