package drill

import (
	"context"
	"fmt"

	"github.com/weir-project/weir/broker/nats"
)

// Serve runs a broker at an address until ctx is done, for the cluster of a drill. Its
// users are manager, who may publish, and gateway; both have the password.
func Serve(ctx context.Context, listen, password string) error {
	s, err := nats.NewServer(nats.ServerOptions{
		Listen:   listen,
		Managers: nats.Login{User: "manager", Password: password},
		Gateways: nats.Login{User: "gateway", Password: password},
	})
	if err != nil {
		return fmt.Errorf("broker of a drill: %w", err)
	}
	return s.Run(ctx)
}
