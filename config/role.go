package config

// A Role is what a process is for. It chooses the defaults of some keys, and which
// sections a file may have.
type Role string

// The roles.
const (
	// Microgateway is a gateway with a file micro-gw.conf: `weir gateway`.
	Microgateway Role = "microgateway"
	// Gateway, TrafficManager, ControlPlane and All are those of `weir serve`, with
	// a file deployment.toml. All is every one of them in one process.
	Gateway        Role = "gateway"
	TrafficManager Role = "traffic-manager"
	ControlPlane   Role = "control-plane"
	All            Role = "all"
)

// HasGateway reports whether the role serves APIs.
func (r Role) HasGateway() bool { return r == Microgateway || r == Gateway || r == All }

// HasTrafficManager reports whether the role counts what gateways tell.
func (r Role) HasTrafficManager() bool { return r == TrafficManager || r == All }

// file returns the name of the file in which the role is configured.
func (r Role) file() string {
	if r == Microgateway {
		return "micro-gw.conf"
	}
	return "deployment.toml"
}
